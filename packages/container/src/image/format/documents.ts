/** The documents of an image (OCI image specification: descriptor.md, image-index.md, manifest.md, config.md). */

import { parseDigest, type Digest } from "./digest.js";
import { invalid, parseJson, type Fields } from "./json.js";

/** Media types, and those of Docker that mean the same. */
export const MEDIA = {
  index: "application/vnd.oci.image.index.v1+json",
  manifest: "application/vnd.oci.image.manifest.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  layer: "application/vnd.oci.image.layer.v1.tar",
  gzipLayer: "application/vnd.oci.image.layer.v1.tar+gzip",
  zstdLayer: "application/vnd.oci.image.layer.v1.tar+zstd",
  dockerIndex: "application/vnd.docker.distribution.manifest.list.v2+json",
  dockerManifest: "application/vnd.docker.distribution.manifest.v2+json",
} as const;

/** Annotation with an image's name in an index. */
export const REF_NAME = "org.opencontainers.image.ref.name";

/** More layers no image has, and no file system stacks. */
const MAX_LAYERS = 500;

/** Processor and system that an image is for. */
export interface Platform {
  readonly architecture: string;
  readonly os: string;
  readonly variant?: string;
}

/** Says what a blob is, how long, and what it hashes to. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly platform?: Platform;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Several manifests: an image for several platforms, or what a layout holds. */
export interface Index {
  readonly manifests: readonly Descriptor[];
}

/** One image: its configuration and its layers, lowest first. */
export interface Manifest {
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

/** One step of how an image was made. */
export interface HistoryEntry {
  readonly created?: string;
  readonly createdBy?: string;
  readonly comment?: string;
  /** Whether it made no layer. */
  readonly emptyLayer: boolean;
}

/** What runs in an image's containers unless the caller says otherwise. */
export interface ImageDefaults {
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** `NAME`, `NAME:GROUP` or numbers; empty for root. */
  readonly user: string;
  readonly workingDirectory: string;
  readonly volumes: readonly string[];
  /** Such as `80/tcp`. */
  readonly exposedPorts: readonly string[];
  readonly stopSignal?: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** An image's configuration. */
export interface ImageConfig {
  readonly platform: Platform;
  readonly created?: string;
  readonly author?: string;
  readonly defaults: ImageDefaults;
  /** Digests of the layers as they are unpacked, lowest first. */
  readonly diffIds: readonly Digest[];
  readonly history: readonly HistoryEntry[];
}

/** Whether a descriptor leads to an index. */
export function isIndex({ mediaType }: { readonly mediaType: string }): boolean {
  return mediaType === MEDIA.index || mediaType === MEDIA.dockerIndex;
}

/** Whether a descriptor leads to a manifest. */
export function isManifest({ mediaType }: { readonly mediaType: string }): boolean {
  return mediaType === MEDIA.manifest || mediaType === MEDIA.dockerManifest;
}

/** @throws MachineError `IMAGE_INVALID` */
export function parseIndex(bytes: Uint8Array): Index {
  const fields = parseJson(bytes, "image index");
  checkVersion(fields);
  return { manifests: fields.objects("manifests").map(parseDescriptor) };
}

/** @throws MachineError `IMAGE_INVALID` */
export function parseManifest(bytes: Uint8Array): Manifest {
  const fields = parseJson(bytes, "image manifest");
  checkVersion(fields);
  const layers = fields.objects("layers").map(parseDescriptor);
  if (layers.length > MAX_LAYERS) throw invalid(fields.document, `it has over ${MAX_LAYERS} layers`);
  return { config: parseDescriptor(fields.needObject("config")), layers };
}

/** @throws MachineError `IMAGE_INVALID` */
export function parseConfig(bytes: Uint8Array): ImageConfig {
  const fields = parseJson(bytes, "image configuration");
  const rootfs = fields.needObject("rootfs");
  const [created, author] = [fields.text("created"), fields.text("author")];
  return {
    platform: parsePlatform(fields),
    ...(created === undefined ? {} : { created }),
    ...(author === undefined ? {} : { author }),
    defaults: parseDefaults(fields.object("config")),
    diffIds: rootfs.texts("diff_ids").map((text) => parseDigest(text, rootfs.document)),
    history: fields.objects("history").map(parseHistory),
  };
}

function checkVersion(fields: Fields): void {
  if (fields.names().includes("schemaVersion") && fields.needSize("schemaVersion") !== 2) {
    throw invalid(fields.document, "its schemaVersion is not 2");
  }
}

/** @throws MachineError `IMAGE_INVALID` */
export function parseDescriptor(fields: Fields): Descriptor {
  const platform = fields.object("platform");
  const annotations = fields.textsByName("annotations");
  return {
    mediaType: fields.needText("mediaType"),
    digest: parseDigest(fields.needText("digest"), fields.document),
    size: fields.needSize("size"),
    ...(platform === undefined ? {} : { platform: parsePlatform(platform) }),
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
  };
}

function parsePlatform(fields: Fields): Platform {
  const variant = fields.text("variant");
  return {
    architecture: fields.needText("architecture"),
    os: fields.needText("os"),
    ...(variant === undefined ? {} : { variant }),
  };
}

function parseDefaults(fields: Fields | undefined): ImageDefaults {
  const stopSignal = fields?.text("StopSignal");
  return {
    entrypoint: fields?.texts("Entrypoint") ?? [],
    command: fields?.texts("Cmd") ?? [],
    env: Object.fromEntries((fields?.texts("Env") ?? []).map(splitVariable)),
    user: fields?.text("User") ?? "",
    workingDirectory: fields?.text("WorkingDir") ?? "",
    volumes: fields?.object("Volumes")?.names() ?? [],
    exposedPorts: fields?.object("ExposedPorts")?.names() ?? [],
    ...(stopSignal === undefined ? {} : { stopSignal }),
    labels: fields?.textsByName("Labels") ?? {},
  };
}

/** `NAME=VALUE`; a name alone has an empty value. */
export function splitVariable(variable: string): [string, string] {
  const equals = variable.indexOf("=");
  return equals < 0 ? [variable, ""] : [variable.slice(0, equals), variable.slice(equals + 1)];
}

function parseHistory(fields: Fields): HistoryEntry {
  const [created, createdBy, comment] = [fields.text("created"), fields.text("created_by"), fields.text("comment")];
  return {
    ...(created === undefined ? {} : { created }),
    ...(createdBy === undefined ? {} : { createdBy }),
    ...(comment === undefined ? {} : { comment }),
    emptyLayer: fields.flag("empty_layer"),
  };
}

/** A configuration as JSON has it. */
export function writeConfig(config: ImageConfig): unknown {
  const { platform, defaults, diffIds, history, ...rest } = config;
  const { stopSignal, labels } = defaults;
  const emptyObjects = (names: readonly string[]): object => Object.fromEntries(names.map((name) => [name, {}]));
  return {
    ...rest,
    ...platform,
    config: {
      Entrypoint: defaults.entrypoint,
      Cmd: defaults.command,
      Env: Object.entries(defaults.env).map(([name, value]) => `${name}=${value}`),
      User: defaults.user,
      WorkingDir: defaults.workingDirectory,
      Volumes: emptyObjects(defaults.volumes),
      ExposedPorts: emptyObjects(defaults.exposedPorts),
      Labels: labels,
      ...(stopSignal === undefined ? {} : { StopSignal: stopSignal }),
    },
    rootfs: { type: "layers", diff_ids: diffIds },
    history: history.map(({ created, createdBy, comment, emptyLayer }) => ({
      ...(created === undefined ? {} : { created }),
      ...(createdBy === undefined ? {} : { created_by: createdBy }),
      ...(comment === undefined ? {} : { comment }),
      ...(emptyLayer ? { empty_layer: true } : {}),
    })),
  };
}
