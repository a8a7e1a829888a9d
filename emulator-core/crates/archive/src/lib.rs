//! Archives unpacked to directories, and directories made archives again: layers of images as overlayfs stacks them (OCI
//! image specification, layer.md), and trees of files that are copied in and out of guests. Archives are hostile input.

mod attributes;
pub mod copy;
pub mod diff;
mod error;
mod lower;
mod members;
pub mod pack;
mod place;
mod reader;
mod sparse;
pub mod tree;
pub mod unpack;

pub use error::{Error, Result};

/// What a name begins with that hides another in the layers below.
const WHITEOUT: &[u8] = b".wh.";
/// What is about whiteouts themselves.
const WHITEOUT_META: &[u8] = b".wh..wh.";
/// In a directory: nothing of it in the layers below is seen.
const OPAQUE: &[u8] = b".wh..wh..opq";
/// How overlayfs marks such a directory where it is mounted by a user namespace's root (overlayfs.rst).
const OPAQUE_ATTRIBUTE: &str = "user.overlay.opaque";
/// Attributes that overlayfs takes for its own.
const OVERLAY_ATTRIBUTES: &str = "user.overlay.";
/// How archives call extended attributes, before their names.
const ATTRIBUTE_RECORD: &str = "SCHILY.xattr.";
/// Ids that a container has.
const IDS: u64 = 65_536;
