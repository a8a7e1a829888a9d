import { bootable, type Recipe } from "../recipe.js";

/** Debian's kernel for virtual machines: the smallest stock one.  */
export const recipe: Recipe = {
  name: "debian-cloud",
  description: "Debian 12, cloud kernel (amd64), BusyBox",
  architecture: "amd64",
  kernelPackage: "linux-image-cloud-amd64",
  busyboxPackage: "busybox-static",
  commandLine: "console=ttyS0 panic=-1",
  memory: "256MiB",
};

export default bootable(recipe);
