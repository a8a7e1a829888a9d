import { bootable, type Recipe } from "../recipe.js";

/** Programs of every kind, as Debian built them: what they compute shows whether the processor is right. */
export const recipe: Recipe = {
  name: "debian-tools",
  description: "Debian 12, cloud kernel (amd64), BusyBox, with perl, python3, gcc, openssl, sqlite3 and compressors",
  architecture: "amd64",
  kernelPackage: "linux-image-cloud-amd64",
  busyboxPackage: "busybox-static",
  packages: ["perl", "python3", "openssl", "gcc", "libc6-dev", "sqlite3", "gzip", "xz-utils", "zstd"],
  // The root file system is unpacked into RAM: compilers of link-time code, sanitizers, profilers, static libraries, and
  // tables of scripts and languages that nobody asks for would be two thirds of it.
  leaveOut: [
    "usr/lib/gcc/*/*/lto1",
    "usr/bin/*lto-dump*",
    "**/lib{asan,lsan,tsan,ubsan}*",
    "usr/lib/x86_64-linux-gnu/!(libc_nonshared).a",
    "**/*gprofng*",
    "**/*gprofng*/**",
    "usr/bin/x86_64-linux-gnu-{dwp,gcov*,gprof,ld.gold}",
    "usr/lib/x86_64-linux-gnu/perl/*/CORE/**",
    "usr/lib/x86_64-linux-gnu/perl/*/auto/Encode/{CN,JP,KR,TW}/**",
    "usr/share/perl/*/Unicode/Collate/**",
    "usr/share/perl/*/{pod,CPAN}/**",
    "usr/lib/python3.11/{lib2to3,pydoc_data}/**",
  ],
  commandLine: "console=ttyS0 panic=-1",
  memory: "1GiB",
};

export default bootable(recipe);
