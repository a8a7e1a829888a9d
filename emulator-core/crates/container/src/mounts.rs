//! The container's tree of mounts. Everything is a descriptor from the moment it exists: sources are detached mounts,
//! targets are handles found by `inside`, and neither is looked up by its path a second time.

pub mod cgroup;
pub mod devices;
pub mod filesystem;
pub mod layer;
pub mod options;
mod overlay;
pub mod protect;
pub mod saved;
pub mod temporary;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags};

use crate::error::{During, Error, Result};
use crate::inside::Inside;
use crate::namespaces::IdMapper;
use crate::network::files::{self, Names};
use crate::spec::{Mount, NamespaceKind, Spec};
use crate::sys::{self, MountAttributes};
use options::{Bind, Options};
use saved::Saved;

/// What the helper asks of the root beyond the specification.
#[derive(Debug, Clone, Default)]
pub struct Layout {
    /// Files that belong to root on the host belong to the container's root.
    pub idmapped: bool,
    /// What the container writes goes elsewhere; the directory stays as it is.
    pub overlay: bool,
    /// With an overlay: directories below the root's, topmost first.
    pub lowers: Vec<PathBuf>,
    /// With an overlay: the directory where what is written is kept, which [`layer`] makes; memory without.
    pub writable: Option<PathBuf>,
    /// Whether that ends with the container, as memory does.
    pub temporary: bool,
    /// With an overlay: what the writable layer has from the beginning.
    pub saved: Option<Saved>,
}

/// What is mounted from the host, held as detached mounts.
pub struct Sources {
    root: OwnedFd,
    lowers: Vec<OwnedFd>,
    writable: Option<OwnedFd>,
    temporary: bool,
    saved: Option<saved::Opened>,
    /// One for each mount of the configuration; none where a new file system is made.
    binds: Vec<Option<OwnedFd>>,
}

impl Sources {
    /// Opens everything the configuration names on the host. Needs CAP_SYS_ADMIN in the caller's mount namespace.
    pub fn open(spec: &Spec, bundle: &Path, layout: &Layout, mapper: &mut IdMapper) -> Result<Self> {
        let path = &spec.root.as_ref().ok_or_else(|| Error::spec("root", "there is none"))?.path;
        let mut open = |path: &Path, recursive| open_root(spec, path, recursive, layout.idmapped, mapper);
        let root = open(&bundle.join(path), true)?;
        let lowers = layout.lowers.iter().map(|path| open(path, false)).collect::<Result<_>>()?;
        let writable = layout.writable.as_deref().map(|path| open(path, false)).transpose()?;
        let saved = layout.saved.as_ref().map(Saved::open).transpose()?;
        let binds = spec.mounts.iter().map(|mount| open_bind(mount, bundle, mapper)).collect::<Result<_>>()?;
        Ok(Self { root, lowers, writable, temporary: layout.temporary, saved, binds })
    }
}

/// Makes the mappings of ids that [`Sources::open`] is going to need.
pub fn prepare_mappings(spec: &Spec, idmapped: bool, mapper: &mut IdMapper) -> Result<()> {
    let root = idmapped.then_some((&spec.linux.uid_mappings, &spec.linux.gid_mappings));
    let mounts = spec.mounts.iter().map(|mount| (&mount.uid_mappings, &mount.gid_mappings));
    let wanted = mounts.filter(|(uids, gids)| !(uids.is_empty() && gids.is_empty())).chain(root);
    wanted.into_iter().try_for_each(|(uids, gids)| mapper.namespace(uids, gids).map(drop))
}

/// A directory of the root file system.
fn open_root(spec: &Spec, path: &Path, recursive: bool, idmapped: bool, mapper: &mut IdMapper) -> Result<OwnedFd> {
    let unusable = |errno: Errno| Error::RootfsUnusable { path: path.display().to_string(), reason: errno.to_string() };
    let tree = clone_tree(path, recursive).map_err(unusable)?;
    if !FileType::from_raw_mode(rustix::fs::fstat(&tree).map_err(unusable)?.st_mode).is_dir() {
        return Err(unusable(Errno::NOTDIR));
    }
    if idmapped {
        let namespace = mapper.namespace(&spec.linux.uid_mappings, &spec.linux.gid_mappings)?;
        map_ids(tree.as_fd(), namespace, false)
            .map_err(|errno| Error::RootfsUnusable { path: path.display().to_string(), reason: unmappable(errno) })?;
    }
    Ok(tree)
}

fn open_bind(mount: &Mount, bundle: &Path, mapper: &mut IdMapper) -> Result<Option<OwnedFd>> {
    let destination = mount.destination.display().to_string();
    let options = Options::parse(&destination, &mount.options)?;
    let recursive = match (options.bind, mount.kind.as_deref()) {
        (Bind::No, Some("bind")) | (Bind::One, _) => false,
        (Bind::Recursive, _) => true,
        (Bind::No, _) => return Ok(None),
    };
    let source = mount.source.as_ref().ok_or_else(|| Error::spec("mounts", format!("{destination} has no source")))?;
    let source = bundle.join(source);
    let failed = |errno: Errno| Error::mount(&destination, format!("{}: {errno}", source.display()));
    let tree = clone_tree(&source, recursive).map_err(failed)?;
    match (options.idmap, mount.uid_mappings.is_empty() && mount.gid_mappings.is_empty()) {
        (None, true) => {}
        (Some(_), true) => {
            return Err(Error::unsupported(
                format!("an idmap of {destination} without mappings"),
                "give uidMappings and gidMappings",
            ));
        }
        (deep, false) => {
            let namespace = mapper.namespace(&mount.uid_mappings, &mount.gid_mappings)?;
            map_ids(tree.as_fd(), namespace, deep == Some(true))
                .map_err(|errno| Error::mount(&destination, format!("{}: {}", source.display(), unmappable(errno))))?;
        }
    }
    Ok(Some(tree))
}

/// Why the ids of a mount cannot be mapped (mount_setattr(2)).
fn unmappable(errno: Errno) -> String {
    match errno {
        Errno::INVAL => "its file system, or one mounted in it, cannot map ids: use another, such as ext4".to_owned(),
        errno => errno.to_string(),
    }
}

/// A copy of the mount at `path` that is mounted nowhere, and tells nobody what is mounted in it.
fn clone_tree(path: &Path, recursive: bool) -> rustix::io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let below = if recursive { OpenTreeFlags::AT_RECURSIVE } else { OpenTreeFlags::empty() };
    let tree = rustix::mount::open_tree(CWD, path, flags | below)?;
    let private = MountAttributes { propagation: MountPropagationFlags::PRIVATE.bits().into(), ..Default::default() };
    sys::mount_setattr(tree.as_fd(), private, true)?;
    Ok(tree)
}

fn map_ids(tree: BorrowedFd<'_>, user_namespace: BorrowedFd<'_>, deep: bool) -> rustix::io::Result<()> {
    let attributes =
        MountAttributes { set: libc::MOUNT_ATTR_IDMAP, user_namespace: Some(user_namespace), ..Default::default() };
    sys::mount_setattr(tree, attributes, deep)
}

/// The container's root while it is being filled.
pub struct Tree {
    root: OwnedFd,
    /// Where an overlay keeps what is written.
    pub layer: Option<OwnedFd>,
}

impl Tree {
    /// Mounts the root and everything the configuration lists, in this process's new mount namespace. The root covers
    /// the host's, which stays within reach of paths until [`Tree::enter`].
    pub fn build(spec: &Spec, mut sources: Sources, layout: &Layout, names: Option<&Names>) -> Result<Self> {
        isolate(spec)?;
        let files = names.map(Names::make).transpose()?;
        let binds = std::mem::take(&mut sources.binds);
        let files = files.unwrap_or_default();
        let (root, layer) = match layout.overlay {
            true => overlay::make(spec, &sources, &binds, &files).map(|(root, layer)| (root, Some(layer)))?,
            false => (sources.root, None),
        };
        attach(root.as_fd(), host_root()?.as_fd()).during("mounting the root file system")?;
        let tree = Self { root, layer };
        for (mount, source) in spec.mounts.iter().zip(binds) {
            tree.mount(spec, mount, source)?;
        }
        for (path, file) in &files {
            files::lay(&tree.inside(), path, file)?;
        }
        Ok(tree)
    }

    /// Paths in the container.
    pub fn inside(&self) -> Inside<'_> {
        Inside::new(self.root.as_fd())
    }

    fn mount(&self, spec: &Spec, mount: &Mount, source: Option<OwnedFd>) -> Result<()> {
        let destination = mount.destination.display().to_string();
        let options = Options::parse(&destination, &mount.options)?;
        let failed = |errno: Errno| Error::mounting(&destination, errno);
        let kind = mount.kind.as_deref().unwrap_or("none");
        let new = match source {
            Some(tree) => tree,
            None if kind == "cgroup" => return cgroup::mount(self, spec, mount, &options),
            None => {
                let source = mount.source.as_deref().unwrap_or(Path::new(kind));
                filesystem::make(kind, source, &options).map_err(|reason| Error::mount(&destination, reason))?
            }
        };
        let target = self.target(&mount.destination, kind, &new)?;
        if mount.fill {
            let open = |directory: &OwnedFd| {
                rustix::fs::openat(directory, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            };
            archive::tree::fill(&open(&target).map_err(failed)?, &open(&new).map_err(failed)?)?;
        }
        attach(new.as_fd(), target.as_fd()).map_err(failed)?;
        apply(new.as_fd(), &options).map_err(failed)
    }

    /// Where `new` is to be mounted. Kernel file systems are what later protection relies on: a link in an image must
    /// not redirect them.
    fn target(&self, destination: &Path, kind: &str, new: &OwnedFd) -> Result<OwnedFd> {
        let failed = |errno: Errno| Error::mounting(destination.display().to_string(), errno);
        let inside = self.inside();
        let directory = FileType::from_raw_mode(rustix::fs::fstat(new).map_err(failed)?.st_mode).is_dir();
        let target = if directory { inside.make_dir(destination) } else { inside.make_file(destination) };
        let target = target.map_err(failed)?;
        if !matches!(kind, "proc" | "sysfs") {
            return Ok(target);
        }
        match inside.open_without_links(destination) {
            Ok(same) => Ok(same),
            Err(_) => Err(Error::mount(
                destination.display().to_string(),
                format!("the image has a symbolic link there, which may not redirect {kind}"),
            )),
        }
    }

    /// Makes the root this process's own and lets go of the host's (pivot_root(2)).
    pub fn enter(self, spec: &Spec) -> Result<()> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let namespace =
            rustix::fs::open("/proc/self/ns/mnt", flags, Mode::empty()).during("opening /proc/self/ns/mnt")?;
        rustix::process::fchdir(&self.root).during("entering the root file system")?;
        // Stacked on the new root, the old one is found at "." again.
        rustix::process::pivot_root(".", ".").during("pivot_root")?;
        rustix::mount::unmount(".", UnmountFlags::DETACH).during("letting go of the host's root")?;
        // Who joins the namespace later sees what lies topmost. That must be the container's root, and nothing of the host.
        sys::setns(namespace.as_fd(), NamespaceKind::Mount.flag()).during("entering the root file system")?;
        let identity = |stat: rustix::fs::Stat| (stat.st_dev, stat.st_ino);
        let topmost = rustix::fs::stat("/").during("looking at the root")?;
        if identity(topmost) != identity(rustix::fs::fstat(&self.root).during("looking at the root")?) {
            return Err(Error::Internal { reason: "something lies over the container's root".into() });
        }
        let Some(word) = &spec.linux.rootfs_propagation else { return Ok(()) };
        let (kind, recursive) = propagation_of(word)?;
        let flags = if recursive { kind | MountPropagationFlags::REC } else { kind };
        rustix::mount::mount_change("/", flags).during("setting the propagation of the root")
    }

    /// Makes the root itself read-only; what is mounted in it stays as it is.
    pub fn seal(&self) -> Result<()> {
        let attributes = MountAttributes { set: libc::MOUNT_ATTR_RDONLY, ..Default::default() };
        sys::mount_setattr(self.root.as_fd(), attributes, false).during("making the root read-only")
    }
}

/// Nothing that is mounted from here on spreads to the host; what the host mounts later may spread to here where asked.
fn isolate(spec: &Spec) -> Result<()> {
    let kind = match &spec.linux.rootfs_propagation {
        Some(word) => propagation_of(word)?.0,
        None => MountPropagationFlags::PRIVATE,
    };
    let kind = if kind == MountPropagationFlags::PRIVATE { kind } else { MountPropagationFlags::DOWNSTREAM };
    rustix::mount::mount_change("/", kind | MountPropagationFlags::REC).during("isolating the mount namespace")
}

fn propagation_of(word: &str) -> Result<(MountPropagationFlags, bool)> {
    options::propagation(word).ok_or_else(|| Error::spec("linux.rootfsPropagation", format!("{word:?} is none")))
}

/// The directory everything is stacked on until the host's root is let go of.
fn host_root() -> Result<OwnedFd> {
    rustix::fs::open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).during("opening the root")
}

/// Does `work` in a new file system in memory. What mounts come of it hold on to that; nothing else does.
pub fn with_scratch<T>(options: &Options, work: impl FnOnce(BorrowedFd<'_>) -> Result<T>) -> Result<T> {
    let made = filesystem::make("tmpfs", Path::new("tmpfs"), options);
    let scratch = made.map_err(|reason| Error::mount("/", reason))?;
    // Only of what is mounted somewhere can parts be mounted elsewhere.
    attach(scratch.as_fd(), host_root()?.as_fd()).during("mounting a file system in memory")?;
    let result = work(scratch.as_fd())?;
    // Left here, this mount would lie over the host's root and be the one that is let go of in its place.
    rustix::process::fchdir(&scratch).during("letting go of a file system in memory")?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).during("letting go of a file system in memory")?;
    Ok(result)
}

/// Options that a file system itself is told.
pub fn data(pairs: &[(&str, &str)]) -> Options {
    let data = pairs.iter().map(|(key, value)| ((*key).to_owned(), Some((*value).to_owned())));
    Options { data: data.collect(), ..Default::default() }
}

/// Mounts the detached mount `new` on `target`.
pub fn attach(new: BorrowedFd<'_>, target: BorrowedFd<'_>) -> rustix::io::Result<()> {
    let by_descriptor = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(new, "", target, "", by_descriptor)
}

/// A second mount of what `handle` refers to.
pub fn clone_handle(handle: BorrowedFd<'_>, recursive: bool) -> rustix::io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    let below = if recursive { OpenTreeFlags::AT_RECURSIVE } else { OpenTreeFlags::empty() };
    rustix::mount::open_tree(handle, "", flags | below)
}

/// Attributes and propagation, in the order in which the options have them.
fn apply(mount: BorrowedFd<'_>, options: &Options) -> rustix::io::Result<()> {
    for (set, clear, recursive) in
        [(options.set_recursive, options.clear_recursive, true), (options.set, options.clear, false)]
    {
        if (set, clear) != (0, 0) {
            sys::mount_setattr(mount, MountAttributes { set, clear, ..Default::default() }, recursive)?;
        }
    }
    for (kind, recursive) in &options.propagation {
        let attributes = MountAttributes { propagation: kind.bits().into(), ..Default::default() };
        sys::mount_setattr(mount, attributes, *recursive)?;
    }
    Ok(())
}

/// Whether the configuration mounts something on `path`.
pub fn is_mounted(spec: &Spec, path: &str) -> bool {
    spec.mounts.iter().any(|mount| mount.destination.components().eq(PathBuf::from(path).components()))
}

/// Whether this process may not make device nodes, and has to show the host's instead.
pub fn lacks_nodes(spec: &Spec) -> bool {
    spec.has_new(NamespaceKind::User) || !rustix::process::geteuid().is_root()
}
