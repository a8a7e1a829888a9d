/** Failures of OCI images, of volumes, and of their stores and registries. */

/** Fields of `details` for each. */
export interface OciErrorDetails {
  /** What should name an image does not. */
  readonly REFERENCE_INVALID: { readonly reference: string; readonly reason: string };
  /** A document of an image (index, manifest, configuration) breaks a rule. */
  readonly IMAGE_INVALID: { readonly document: string; readonly reason: string };
  /** A blob is not what its descriptor says. */
  readonly BLOB_CORRUPT: { readonly digest: string; readonly reason: string };
  /** A blob that an image needs is not there. */
  readonly BLOB_MISSING: { readonly digest: string };
  /** The image is not for the processor or system that is wanted. */
  readonly PLATFORM_MISSING: { readonly wanted: string; readonly available: string };
  /** Containers have been made of the image. */
  readonly IMAGE_IN_USE: { readonly image: string; readonly containers: string };
  /** No volume has that name. */
  readonly VOLUME_UNKNOWN: { readonly volume: string };
  /** Containers have the volume. */
  readonly VOLUME_IN_USE: { readonly volume: string; readonly containers: string };
  /** The registry cannot be talked to. */
  readonly REGISTRY_UNREACHABLE: { readonly registry: string; readonly reason: string };
  /** The registry wants to know who asks, or does not let that user. */
  readonly REGISTRY_DENIED: { readonly registry: string; readonly reason: string };
  /** The registry answered with an error. */
  readonly REGISTRY_REFUSED: { readonly registry: string; readonly status: number; readonly reason: string };
}
