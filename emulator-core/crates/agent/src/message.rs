//! Messages of the agent's protocol as types, and their bytes. `PROTOCOL.md` is the description.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// Version of the protocol spoken here.
pub const VERSION: u16 = 1;

/// The host's number for a process.
pub type ProcessId = u32;

/// What a process is started with.
#[derive(Debug, PartialEq, Eq)]
pub struct Start {
    /// Directory to run in; empty for the agent's own.
    pub directory: OsString,
    /// The program and its arguments; never empty.
    pub arguments: Vec<OsString>,
    /// Variables on top of the agent's environment.
    pub environment: Vec<(OsString, OsString)>,
}

/// What the host says.
#[derive(Debug, PartialEq, Eq)]
pub enum FromHost {
    /// The host has attached: forget earlier sessions.
    Hello { version: u16, session: u32 },
    /// Start a process.
    Start { process: ProcessId, start: Start },
    /// Bytes for its standard input.
    Stdin { process: ProcessId, data: Vec<u8> },
    /// No more of those.
    StdinEnd { process: ProcessId },
    /// Send a signal to its process group.
    Signal { process: ProcessId, signal: u8 },
    /// The host has taken so many bytes of its output.
    Credit { process: ProcessId, bytes: u32 },
}

/// What the agent says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FromAgent<'a> {
    /// The agent is there, and whose session it serves (0: nobody's).
    Hello { session: u32 },
    /// The process runs.
    Started { process: ProcessId },
    /// The process could not be started.
    Failed { process: ProcessId, errno: u16 },
    /// It wrote to its standard output.
    Stdout { process: ProcessId, data: &'a [u8] },
    /// It wrote to its standard error.
    Stderr { process: ProcessId, data: &'a [u8] },
    /// It has ended by itself.
    ExitedWith { process: ProcessId, code: u8 },
    /// A signal has ended it.
    KilledBy { process: ProcessId, signal: u8 },
    /// It has taken so many bytes of its standard input.
    Credit { process: ProcessId, bytes: u32 },
}

impl FromHost {
    /// Reads a message; `None` where it is cut short or of an unknown type.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let (&kind, mut rest) = frame.split_first()?;
        if kind == 0x01 {
            let version = u16::from_le_bytes(take(&mut rest)?);
            return Some(Self::Hello { version, session: u32::from_le_bytes(take(&mut rest)?) });
        }
        let process = u32::from_le_bytes(take(&mut rest)?);
        Some(match kind {
            0x02 => Self::Start { process, start: Start::parse(rest)? },
            0x03 => Self::Stdin { process, data: rest.to_vec() },
            0x04 => Self::StdinEnd { process },
            0x05 => Self::Signal { process, signal: take::<1>(&mut rest)?[0] },
            0x06 => Self::Credit { process, bytes: u32::from_le_bytes(take(&mut rest)?) },
            _ => return None,
        })
    }
}

impl Start {
    /// Reads what stands behind the process's number; `None` where it is cut short.
    pub fn parse(mut rest: &[u8]) -> Option<Self> {
        let count = usize::from(u16::from_le_bytes(take(&mut rest)?));
        let mut strings =
            rest.strip_suffix(&[0])?.split(|&byte| byte == 0).map(|bytes| OsString::from_vec(bytes.to_vec()));
        let directory = strings.next()?;
        let arguments: Vec<OsString> = strings.by_ref().take(count).collect();
        if arguments.len() != count || count == 0 {
            return None;
        }
        let environment = strings.map(split_variable).collect::<Option<Vec<_>>>()?;
        Some(Self { directory, arguments, environment })
    }
}

fn split_variable(variable: OsString) -> Option<(OsString, OsString)> {
    let bytes = variable.into_vec();
    let equals = bytes.iter().position(|&byte| byte == b'=').filter(|&at| at > 0)?;
    Some((OsString::from_vec(bytes[..equals].to_vec()), OsString::from_vec(bytes[equals + 1..].to_vec())))
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}

impl FromAgent<'_> {
    /// The bytes of the message.
    pub fn to_bytes(self) -> Vec<u8> {
        let about = |kind: u8, process: ProcessId, rest: &[u8]| [&[kind], &process.to_le_bytes()[..], rest].concat();
        match self {
            Self::Hello { session } => [&[0x81], &VERSION.to_le_bytes()[..], &session.to_le_bytes()[..]].concat(),
            Self::Started { process } => about(0x82, process, &[]),
            Self::Stdout { process, data } => about(0x83, process, data),
            Self::Stderr { process, data } => about(0x84, process, data),
            Self::ExitedWith { process, code } => about(0x85, process, &[0, code]),
            Self::KilledBy { process, signal } => about(0x85, process, &[1, signal]),
            Self::Failed { process, errno } => about(0x86, process, &errno.to_le_bytes()),
            Self::Credit { process, bytes } => about(0x87, process, &bytes.to_le_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_message_carries_directory_arguments_and_variables() {
        let frame = [&[2, 7, 0, 0, 0, 2, 0][..], b"/tmp\0ls\0-l\0A=b=c\0"].concat();
        let start = Start {
            directory: "/tmp".into(),
            arguments: vec!["ls".into(), "-l".into()],
            environment: vec![("A".into(), "b=c".into())],
        };
        assert_eq!(FromHost::parse(&frame), Some(FromHost::Start { process: 7, start }));
    }

    #[test]
    fn a_message_cut_short_anywhere_is_refused() {
        let start = [&[2, 7, 0, 0, 0, 2, 0][..], b"\0ls\0-l\0"].concat();
        for end in 0..start.len() {
            assert_eq!(FromHost::parse(&start[..end]), None, "cut at {end}");
        }
        assert_eq!(FromHost::parse(&[1, 1, 0, 9, 9, 9]), None);
        assert_eq!(FromHost::parse(&[6, 1, 0, 0, 0, 1]), None);
    }

    #[test]
    fn a_start_without_a_program_or_with_a_nameless_variable_is_refused() {
        assert_eq!(FromHost::parse(&[&[2, 7, 0, 0, 0, 0, 0][..], b"\0"].concat()), None);
        assert_eq!(FromHost::parse(&[&[2, 7, 0, 0, 0, 1, 0][..], b"\0ls\0=x\0"].concat()), None);
    }
}
