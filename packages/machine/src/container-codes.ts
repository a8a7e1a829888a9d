/** Failures of containers. The table is emulator-core/crates/container/src/error.rs; a test compares the two. */

/** Fields of `details` for each failure the container runtime reports. */
export interface ContainerErrorDetails {
  /** The configuration breaks a rule of the OCI runtime specification. */
  readonly SPEC_INVALID: { readonly field: string; readonly reason: string };
  /** Something is asked for that there is not. */
  readonly UNSUPPORTED: { readonly feature: string; readonly mend: string };
  readonly CONTAINER_EXISTS: { readonly id: string };
  readonly CONTAINER_UNKNOWN: { readonly id: string };
  readonly CONTAINER_STATUS: { readonly id: string; readonly status: string; readonly wanted: string };
  readonly ROOTFS_UNUSABLE: { readonly path: string; readonly reason: string };
  readonly PROGRAM_UNUSABLE: { readonly program: string; readonly reason: string };
  readonly NAMESPACE_REFUSED: { readonly namespaces: string; readonly reason: string; readonly mend: string };
  readonly ID_MAPPING_REFUSED: { readonly reason: string; readonly mend: string };
  readonly MOUNT_FAILED: { readonly destination: string; readonly reason: string };
  /** Another container writes to the layer. */
  readonly LAYER_IN_USE: { readonly path: string; readonly user: string };
  readonly CONTROLLER_MISSING: { readonly controller: string; readonly neededFor: string };
  readonly CGROUP_REFUSED: { readonly path: string; readonly reason: string };
  readonly NETWORK_REFUSED: { readonly network: string; readonly reason: string; readonly mend: string };
  readonly PORT_UNAVAILABLE: { readonly port: string; readonly reason: string };
  readonly HOOK_FAILED: { readonly path: string; readonly reason: string };
  readonly ARCHIVE_REFUSED: { readonly entry: string; readonly reason: string };
  readonly ARCHIVE_TOO_LARGE: { readonly limit: string };
  readonly ARCHIVE_DAMAGED: { readonly reason: string };
  readonly USER_UNKNOWN: { readonly user: string };
  /** Nothing can be copied from or to a path of the guest. */
  readonly PATH_UNUSABLE: { readonly path: string; readonly reason: string };
  /** No space is left where something was to be written. */
  readonly DISK_FULL: { readonly operation: string };
  readonly SYSTEM: { readonly operation: string; readonly reason: string };
}
