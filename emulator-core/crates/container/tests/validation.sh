#!/bin/bash
# Judges an OCI runtime by the validation programs of the OCI project's runtime-tools (a Go module, of which 0.9.0 is the
# last version). For root, with Go; fetching and building takes a minute, all programs two. Prints a line a program, and
# fails where one fails that is not known to below.
#
#   validation.sh /path/to/terrarium-container [PROGRAM ...]
#   validation.sh /usr/bin/crun                             the control; where crun takes no hybrid cgroups, unmount version 2
set -uo pipefail
runtime=$(realpath "${1:?the runtime to judge}")
shift

# Programs that fail here, and why.
declare -A known=(
  [hooks]="expects other words than its own hooks write; runc and crun fail, too"
  [hooks_stdin]="wants prestart hooks told \"created\", which the specification has since made \"creating\""
  [linux_cgroups_blkio]="leafWeight, which no kernel has had since 5.0; runc and crun fail, too"
  [linux_cgroups_relative_blkio]="leafWeight"
  [linux_cgroups_hugetlb]="hugepageLimits is refused by name; runc and crun fail without that controller"
  [linux_cgroups_relative_hugetlb]="hugepageLimits"
  [linux_cgroups_network]="network (net_cls and net_prio of version 1) is refused by name"
  [linux_cgroups_relative_network]="network"
  [linux_cgroups_memory]="memory.kernel, which kernels since 5.16 take and ignore, is refused by name"
  [linux_cgroups_relative_memory]="memory.kernel"
  [linux_mount_label]="labels of SELinux are refused by name; crun ignores them"
  [linux_process_apparmor_profile]="profiles of AppArmor are refused by name"
  [linux_ns_itype]="a container in the host's mount namespace is refused by name"
  [linux_ns_path]="joining a mount namespace is refused by name"
  [linux_rootfs_propagation]="wants every capability granted, which a root who lacks one cannot"
  [process_capabilities]="wants every capability granted"
  [process_capabilities_fail]="wants an error for unknown capabilities; the specification has since made that a warning"
  [misc_props]="its bundle lacks the program that it runs; runc and crun fail, too"
  [mounts]="takes the order of mountinfo, since 6.8 that in which mounts were made, for that in which they were attached"
  [pidfile]="kills a container that may have ended by itself; runc and crun fail, too"
  [poststart_fail]="wants failing poststart hooks ignored; the specification has since made the container end"
  [prestart]="wants these hooks run by start, whereas the specification has them run by create; runc and crun fail, too"
  [process_rlimits]="expects a limit that it has set to another value; runc and crun fail, too"
  [start]="expects create to take a configuration without a process"
)

work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
cd "$work" || exit 1
module=github.com/opencontainers/runtime-tools
go mod init fetch >/dev/null 2>&1 && go get "$module@v0.9.0" >/dev/null 2>&1 || { echo "the module cannot be fetched" >&2; exit 1; }
cp -r "$(go list -m -f '{{.Dir}}' "$module")" source && chmod -R u+w source && cd source || exit 1
# It is older than go.mod: its dependencies, in versions of its time or near.
cat >go.mod <<END
module $module

go 1.18

require (
	github.com/blang/semver v3.5.1+incompatible
	github.com/hashicorp/go-multierror v1.1.1
	github.com/mndrix/tap-go v0.0.0-20171203230836-629fa407e90b
	github.com/mrunalp/fileutils v0.5.0
	github.com/opencontainers/runtime-spec v1.0.2
	github.com/opencontainers/selinux v1.8.0
	github.com/satori/go.uuid v1.2.0
	github.com/sirupsen/logrus v1.8.1
	github.com/syndtr/gocapability v0.0.0-20200815063812-42c35b437635
	github.com/urfave/cli v1.22.10
	github.com/xeipuuv/gojsonschema v1.2.0
	golang.org/x/sys v0.30.0
)
END
# Tests of its dependencies need more, which is not missed.
go mod tidy -e >/dev/null 2>&1
mkdir bin
CGO_ENABLED=0 go build -o runtimetest ./cmd/runtimetest && CGO_ENABLED=0 go build -o bin/ ./validation/... || exit 1

programs=("$@")
[ "${#programs[@]}" -gt 0 ] || mapfile -t programs < <(ls bin)
unexpected=0
for program in "${programs[@]}"; do
  said=$(RUNTIME=$runtime timeout 120 "bin/$program" 2>errors </dev/null)
  status=$?
  passed=$(grep -c '^ok ' <<<"$said") failed=$(grep -c '^not ok ' <<<"$said")
  # Some count nothing, and tell of what is wrong in passing.
  if [ "$status" -eq 0 ] && [ "$failed" -eq 0 ] && ! { [ "$passed" -eq 0 ] && grep -q '"error"' <<<"$said"; }; then
    echo "passed  $program ($passed)"
  elif [ -n "${known[$program]:-}" ]; then
    echo "known   $program ($passed, and $failed failed): ${known[$program]}"
  else
    echo "FAILED  $program ($passed, and $failed failed): $(tail -n 1 errors)"
    unexpected=$((unexpected + 1))
  fi
done
echo "$unexpected failed that are not known to"
[ "$unexpected" -eq 0 ]
