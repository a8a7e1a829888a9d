//! Options on the command line: `--name value`, `--name=value`, and flags.

use crate::error::{Error, Result};

/// A command's options as given, and the rest.
#[derive(Debug, Default)]
pub struct Args {
    values: Vec<(&'static str, String)>,
    flags: Vec<&'static str>,
    pub rest: Vec<String>,
}

/// What a command takes: names of options with a value and of flags; a short form stands behind a comma.
pub struct Known {
    pub values: &'static [&'static str],
    pub flags: &'static [&'static str],
}

impl Args {
    /// Takes options from the front of `words`; the first word that is none, or `--`, begins the rest.
    pub fn parse(words: impl IntoIterator<Item = String>, known: &Known) -> Result<Self> {
        let mut args = Self::default();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            if word == "--" {
                break;
            }
            let Some(name) = word.strip_prefix('-').filter(|name| !name.is_empty()) else {
                args.rest.push(word);
                break;
            };
            let name = name.strip_prefix('-').unwrap_or(name);
            let (name, value) = match name.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (name, None),
            };
            if let Some(flag) = find(known.flags, name) {
                if value.as_deref() != Some("false") {
                    args.flags.push(flag);
                }
            } else if let Some(option) = find(known.values, name) {
                let missing = || invalid(&format!("--{option}"), "followed by a value");
                args.values.push((option, value.or_else(|| words.next()).ok_or_else(missing)?));
            } else {
                return Err(invalid(&word, "one this command has; see --help"));
            }
        }
        args.rest.extend(words);
        Ok(args)
    }

    /// The value of an option, the last where it was given twice.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values.iter().rev().find(|(other, _)| *other == name).map(|(_, value)| value.as_str())
    }

    /// All values of an option.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.values.iter().filter(move |(other, _)| *other == name).map(|(_, value)| value.as_str())
    }

    /// Whether a flag was given.
    pub fn has(&self, name: &str) -> bool {
        self.flags.contains(&name)
    }

    /// A value as a number.
    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>> {
        let parse = |text: &str| text.parse().map_err(|_| invalid(&format!("--{name}"), "a number"));
        self.value(name).map(parse).transpose()
    }

    /// The words behind the options, of which there must be exactly so many.
    pub fn exactly<const N: usize>(&self, expected: &str) -> Result<&[String; N]> {
        self.rest.as_slice().try_into().map_err(|_| invalid("the arguments", expected))
    }
}

fn find(known: &[&'static str], name: &str) -> Option<&'static str> {
    known.iter().find_map(|entry| {
        let mut forms = entry.split(',');
        let long = forms.next()?;
        (long == name || forms.any(|short| short == name)).then_some(long)
    })
}

/// The error for a call that makes no sense.
pub fn invalid(option: &str, expected: &str) -> Error {
    Error::OptionInvalid { option: option.to_owned(), expected: expected.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: Known = Known { values: &["bundle,b", "pid-file"], flags: &["force,f"] };

    fn parse(words: &[&str]) -> Result<Args> {
        Args::parse(words.iter().map(|word| (*word).to_owned()), &KNOWN)
    }

    #[test]
    fn options_end_where_the_rest_begins() {
        let args = parse(&["-b", "/x", "--pid-file=/y", "-f", "id", "--force", "-b"]).expect("a call");
        assert_eq!((args.value("bundle"), args.value("pid-file"), args.has("force")), (Some("/x"), Some("/y"), true));
        assert_eq!(args.rest, ["id", "--force", "-b"]);
        assert_eq!(parse(&["--", "-f"]).expect("a call").rest, ["-f"]);
    }

    #[test]
    fn mistakes_are_named() {
        for words in [&["--bundles", "x"][..], &["-x"], &["--bundle"]] {
            assert!(matches!(parse(words), Err(Error::OptionInvalid { .. })), "{words:?}");
        }
    }
}
