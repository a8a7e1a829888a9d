//! Messages on the helper's socket: two lengths (32 bits, least byte first), then JSON, then bytes that are none.

use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use serde::Serialize;
use serde_json::Value;

use crate::error::{Error, Result};

/// Longest JSON part: a container's whole configuration.
const MAX_JSON: usize = 4 << 20;

/// Longest run of bytes.
const MAX_DATA: usize = 1 << 20;

const HEADER: usize = 8;

/// What has been received and is not yet a whole message.
#[derive(Default)]
pub struct Inbox {
    bytes: Vec<u8>,
}

impl Inbox {
    /// Reads once from `socket`; whether the other end is still there.
    pub fn fill(&mut self, socket: BorrowedFd<'_>) -> bool {
        let mut portion = [0; 64 << 10];
        match rustix::io::read(socket, &mut portion) {
            Ok(0) => false,
            Ok(length) => {
                self.bytes.extend_from_slice(&portion[..length]);
                true
            }
            Err(errno) => matches!(errno, Errno::AGAIN | Errno::INTR),
        }
    }

    /// The next whole message.
    pub fn next(&mut self) -> Result<Option<(Value, Vec<u8>)>> {
        let Some((header, rest)) = self.bytes.split_at_checked(HEADER) else { return Ok(None) };
        let length =
            |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]) as usize;
        let (json, data) = (length(0), length(4));
        let broken = |reason: String| Error::Internal { reason };
        if json > MAX_JSON || data > MAX_DATA {
            return Err(broken(format!("a message of {json} and {data} bytes")));
        }
        let Some(message) = rest.get(..json + data) else { return Ok(None) };
        let value = serde_json::from_slice(&message[..json]).map_err(|error| broken(error.to_string()))?;
        let data = message[json..].to_vec();
        self.bytes.drain(..HEADER + json + data.len());
        Ok(Some((value, data)))
    }
}

/// What is to be sent.
#[derive(Default)]
pub struct Outbox {
    bytes: Vec<u8>,
}

impl Outbox {
    /// Queues a message.
    pub fn send(&mut self, message: &impl Serialize, data: &[u8]) {
        // Made of maps with text as keys, which always is JSON.
        let json = serde_json::to_vec(message).unwrap_or_default();
        self.bytes.extend((json.len() as u32).to_le_bytes());
        self.bytes.extend((data.len() as u32).to_le_bytes());
        self.bytes.extend(json);
        self.bytes.extend(data);
    }

    /// Whether there is anything to send.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether so much waits that no more output should be read.
    pub fn is_congested(&self) -> bool {
        self.bytes.len() > MAX_DATA
    }

    /// Sends what the socket takes; whether the other end is still there.
    pub fn flush(&mut self, socket: BorrowedFd<'_>) -> bool {
        while !self.bytes.is_empty() {
            match rustix::io::write(socket, &self.bytes) {
                Ok(written) => drop(self.bytes.drain(..written)),
                Err(Errno::AGAIN) => return true,
                Err(Errno::INTR) => {}
                Err(_) => return false,
            }
        }
        true
    }
}
