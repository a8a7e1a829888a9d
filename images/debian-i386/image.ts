import { bootable, type Recipe } from "../recipe.js";

/** The 32-bit kernel without PAE, for processors from the Pentium Pro on. */
export const recipe: Recipe = {
  name: "debian-i386",
  description: "Debian 12, 686 kernel (i386), BusyBox",
  architecture: "i386",
  kernelPackage: "linux-image-686",
  busyboxPackage: "busybox-static",
  commandLine: "console=ttyS0 panic=-1",
  memory: "256MiB",
};

export default bootable(recipe);
