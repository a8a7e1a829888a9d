//! Where failures are told: standard error, and the file of `--log` in the form of `--log-format`.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use serde_json::json;

use super::args::invalid;
use crate::error::{Error, Result};
use crate::state::now;

/// The log of one call.
#[derive(Default)]
pub struct Log {
    file: Option<PathBuf>,
    json: bool,
}

impl Log {
    /// Takes the options.
    pub fn configure(&mut self, file: Option<PathBuf>, format: Option<&str>) -> Result<()> {
        self.json = match format {
            None | Some("text") => false,
            Some("json") => true,
            Some(_) => return Err(invalid("--log-format", "text or json")),
        };
        self.file = file;
        Ok(())
    }

    /// Tells of a failure. Its code is for programs.
    pub fn error(&self, error: &Error) {
        let code = serde_json::to_value(error).ok().and_then(|value| value["code"].as_str().map(str::to_owned));
        self.write("error", &format!("{error} [{}]", code.unwrap_or_default()));
    }

    /// Tells of something that is not as it should be and does no harm.
    pub fn warn(&self, text: &str) {
        self.write("warning", text);
    }

    fn write(&self, level: &str, text: &str) {
        let line = match self.json {
            true => json!({"level": level, "msg": text, "time": now()}).to_string(),
            false => format!("time=\"{}\" level={level} msg={text:?}", now()),
        };
        let mut options = OpenOptions::new();
        let file = self.file.as_ref().map(|path| options.create(true).append(true).open(path));
        if let Some(Ok(mut file)) = file {
            let _ = file.write_all(format!("{line}\n").as_bytes());
        }
        if level == "error" || self.file.is_none() {
            let _ = std::io::stderr().write_all(format!("terrarium-container: {text}\n").as_bytes());
        }
    }
}
