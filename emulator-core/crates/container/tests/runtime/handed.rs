//! What a caller hands to a container and gets of it: descriptors, a terminal; and what it is told beforehand.

use std::fs::{self, File};
use std::io::{IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use serde_json::{Value, json};

use crate::bundle::as_everybody;

#[test]
fn descriptors_are_handed_on_as_far_as_is_asked() {
    as_everybody(|mut bundle| {
        for name in ["three", "four"] {
            fs::write(bundle.path(name), name).expect("a file");
        }
        bundle.write("cat <&3; echo; cat <&4 || echo none");
        let mut shell = Command::new("sh");
        let words = ["--root", "state", "run", "--preserve-fds", "1", "box"];
        shell.args(["-c", "exec ./runtime \"$@\" 3< three 4< four", "sh"]).args(words);
        let outcome = bundle.as_owner(&mut shell);
        assert_eq!(outcome.stdout, "three\nnone\n", "{outcome:?}");
    });
}

/// The descriptor that comes over a socket (unix(7), SCM_RIGHTS).
fn received(listener: &UnixListener) -> File {
    let (socket, _) = listener.accept().expect("somebody connects");
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut name = [0; 256];
    rustix::net::recvmsg(&socket, &mut [IoSliceMut::new(&mut name)], &mut control, RecvFlags::CMSG_CLOEXEC)
        .expect("a message");
    let descriptor = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    descriptor.expect("a descriptor").into()
}

#[test]
fn a_terminals_master_comes_over_the_console_socket() {
    as_everybody(|mut bundle| {
        bundle.config["process"]["terminal"] = true.into();
        bundle.write("read line; echo \"$line from $(tty)\"; read line");
        let listener = UnixListener::bind(bundle.path("console")).expect("a socket");
        let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        fs::set_permissions(bundle.path("console"), everybody).expect("permissions");
        let mut create = bundle.prepare(&["create", "--console-socket", "console", "box"]);
        let mut creating = create.stdout(Stdio::null()).spawn().expect("the runtime");
        let mut master = received(&listener);
        assert!(creating.wait().expect("its end").success());
        assert_eq!(bundle.command(&["start", "box"]).code, 0);
        master.write_all(b"words\n").expect("it is read");
        let mut heard = String::new();
        while !heard.contains("words from /dev/pts/0\r\n") {
            let mut piece = [0; 256];
            let length = master.read(&mut piece).unwrap_or_else(|error| panic!("{error} behind {heard:?}"));
            heard.push_str(&String::from_utf8_lossy(&piece[..length]));
        }
        master.write_all(b"\n").expect("it is read");
        bundle.wait_for("box", "stopped");
    });
}

#[test]
fn features_are_those_of_the_kernel_and_of_what_is_refused() {
    as_everybody(|mut bundle| {
        let features: Value = serde_json::from_str(&bundle.command(&["features"]).stdout).expect("JSON");
        let list = |value: &Value| -> Vec<String> { serde_json::from_value(value.clone()).expect("a list of words") };
        let namespaces = list(&features["linux"]["namespaces"]);
        for file in fs::read_dir("/proc/self/ns").expect("the namespaces").flatten() {
            let file = file.file_name().into_string().expect("a name");
            let name = match file.as_str() {
                "mnt" => "mount",
                "net" => "network",
                // Of children: the same kinds once more.
                other => other.trim_end_matches("_for_children"),
            };
            assert!(namespaces.iter().any(|known| known == name), "{name}");
        }
        let last = fs::read_to_string("/proc/sys/kernel/cap_last_cap").expect("the last capability");
        let known = list(&features["linux"]["capabilities"]).len();
        assert!(known > last.trim().parse().expect("a number"), "{known} capabilities");
        for option in ["ro", "nosuid", "rbind", "idmap"] {
            assert!(list(&features["mountOptions"]).iter().any(|known| known == option), "{option}");
        }
        assert_eq!(features["linux"]["apparmor"]["enabled"], false);
        bundle.config["process"]["apparmorProfile"] = json!("profile");
        assert_eq!(bundle.refusal("true"), "UNSUPPORTED");
    });
}
