// Generated from emulator-core/crates/machine/src/error.rs by `npm run codes -w @terrarium/machine`.

/** Fields of `details` for each failure the core reports. */
export interface CoreErrorDetails {
  readonly KERNEL_NOT_RECOGNISED: { readonly bytes: number };
  readonly KERNEL_TRUNCATED: { readonly needed: number; readonly found: number };
  readonly KERNEL_DAMAGED: { readonly reason: string };
  readonly KERNEL_UNSUPPORTED: { readonly reason: string };
  readonly ENTRY_NOT_OFFERED: { readonly entry: string };
  readonly COMMAND_LINE_TOO_LONG: { readonly limit: number; readonly length: number };
  readonly INITRD_DOES_NOT_FIT: { readonly needed: number; readonly available: number };
  readonly MEMORY_TOO_SMALL: { readonly needed: number; readonly configured: number };
  readonly MEMORY_TOO_LARGE: { readonly limit: number; readonly configured: number };
  readonly MEMORY_UNAVAILABLE: { readonly bytes: number };
  readonly FIRMWARE_SIZE_INVALID: { readonly bytes: number };
  readonly SNAPSHOT_VERSION: { readonly found: number; readonly wanted: number };
  readonly SNAPSHOT_DAMAGED: { readonly reason: string };
  readonly OPTION_INVALID: { readonly option: string; readonly value: string; readonly expected: string };
}

/** Stable name of a failure the core reports. */
export type CoreErrorCode = keyof CoreErrorDetails;
