import { bootable, type Recipe } from "../recipe.js";

/** The kernel of an ordinary Debian 12 installation on a PC. */
export const recipe: Recipe = {
  name: "debian",
  description: "Debian 12, full kernel (amd64), BusyBox",
  architecture: "amd64",
  kernelPackage: "linux-image-amd64",
  busyboxPackage: "busybox-static",
  commandLine: "console=ttyS0 panic=-1",
  memory: "256MiB",
};

export default bootable(recipe);
