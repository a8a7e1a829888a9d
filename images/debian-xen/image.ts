import { bootable, type Recipe } from "../recipe.js";

/** Debian's Xen, a multiboot kernel, with Debian's full kernel as its first domain (the cloud kernel is built without XEN_DOM0). */
export const recipe: Recipe = {
  name: "debian-xen",
  description: "Debian 12, Xen hypervisor with the full kernel (amd64) as domain 0, BusyBox",
  architecture: "amd64",
  hypervisor: { package: "xen-hypervisor-4.17-amd64", commandLine: "console=com1 com1=115200,8n1" },
  kernelPackage: "linux-image-amd64",
  busyboxPackage: "busybox-static",
  commandLine: "console=hvc0 panic=-1",
  memory: "512MiB",
};

export default bootable(recipe);
