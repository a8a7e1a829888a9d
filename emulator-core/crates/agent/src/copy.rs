//! Copies in and out of the guest, between this process's streams and its files. The host starts it by `/proc/self/exe`, which
//! in a child of the agent is the agent.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;

use archive::copy::Copy;

/// The first argument of a process that copies: `copy fileIn PATH MODE`, in octal digits, `copy fileOut PATH`,
/// `copy treeIn PATH [owners]` or `copy treeOut PATH follow|link [NAME]`.
pub const TASK: &str = "copy";

/// Carries out what `words` tell. A failure is on standard error, as `archive` writes it.
pub fn run(words: impl Iterator<Item = OsString>) -> ExitCode {
    let words: Vec<OsString> = words.collect();
    let Some(copy) = parse(&words) else { return ExitCode::from(2) };
    // Files have the modes they are given.
    rustix::process::umask(rustix::fs::Mode::empty());
    let done = copy.open().and_then(|opened| opened.run(std::io::stdin().lock(), std::io::stdout().lock()));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody can be told that nobody can be told.
            let _ = std::io::stderr().write_all(&error.to_bytes());
            ExitCode::FAILURE
        }
    }
}

fn parse(words: &[OsString]) -> Option<Copy> {
    let [kind, path, rest @ ..] = words else { return None };
    let path = path.into();
    let word = |at: usize| rest.get(at).map(|word| String::from_utf8_lossy(&word.clone().into_vec()).into_owned());
    Some(match kind.to_str()? {
        "fileIn" => Copy::FileIn { path, mode: u32::from_str_radix(&word(0)?, 8).ok()? },
        "fileOut" => Copy::FileOut { path },
        "treeIn" => Copy::TreeIn { path, owners: word(0).is_some_and(|word| word == "owners") },
        "treeOut" => Copy::TreeOut { path, follow: word(0)? == "follow", name: word(1) },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_no_copy_are_refused() {
        let parsed = |words: &[&str]| parse(&words.iter().map(OsString::from).collect::<Vec<_>>());
        assert_eq!(parsed(&["fileIn", "/a", "644"]), Some(Copy::FileIn { path: "/a".into(), mode: 0o644 }));
        let out = |name: Option<&str>, follow| Copy::TreeOut { path: "/a".into(), name: name.map(Into::into), follow };
        assert_eq!(parsed(&["treeOut", "/a", "link"]), Some(out(None, false)));
        assert_eq!(parsed(&["treeOut", "/a", "follow", "b"]), Some(out(Some("b"), true)));
        assert_eq!(parsed(&["treeIn", "/a", "owners"]), Some(Copy::TreeIn { path: "/a".into(), owners: true }));
        for words in
            [&["fileIn", "/a"][..], &["fileIn", "/a", "9"], &["fileIn"], &["treeOut", "/a"], &["rename", "/a"], &[]]
        {
            assert_eq!(parsed(words), None, "{words:?}");
        }
    }
}
