//! GNU `as`, which knows on its own what bytes assembly is.

use std::io::Write;
use std::process::{Command, Stdio};

use filetest::ENTRY;
use x86::Width;

/// The bytes of each text in its code width; `None` for what the assembler does not take.
///
/// # Errors
/// It cannot be run.
pub fn assemble(texts: &[(Width, &str)]) -> Result<Vec<Option<Vec<u8>>>, String> {
    let mut source = String::from(".intel_syntax noprefix\n");
    for (mode, text) in texts {
        source += &format!(".code{}; {}\n", mode.bits(), translate(text));
    }
    let listing = std::env::temp_dir().join(format!("filetest-{}.lst", std::process::id()));
    let mut command = Command::new("as");
    command.args(["--64", "--listing-lhs-width=8", "-o", "/dev/null"]).arg(format!("-aln={}", listing.display()));
    let child = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut child = child.map_err(|error| format!("GNU as (binutils) cannot be run: {error}"))?;
    child.stdin.take().expect("it is piped").write_all(source.as_bytes()).map_err(|error| error.to_string())?;
    child.wait().map_err(|error| error.to_string())?;
    let text = std::fs::read_to_string(&listing).map_err(|error| format!("as has written no listing: {error}"))?;
    let _ = std::fs::remove_file(listing);
    let mut bytes = vec![None; texts.len()];
    for line in text.lines() {
        let Some((number, found)) = read_line(line) else { continue };
        // The first line of the source is not one of the texts.
        if let Some(place) = number.checked_sub(2).and_then(|n| bytes.get_mut(n)) {
            *place = Some(found);
        }
    }
    Ok(bytes)
}

/// `NUMBER OFFSET BYTES ... SOURCE`, where the offset is `????` as long as there are errors.
fn read_line(line: &str) -> Option<(usize, Vec<u8>)> {
    let (columns, _) = line.split_once('\t')?;
    let mut words = columns.split_whitespace();
    let number = words.next()?.parse().ok()?;
    words.next()?;
    let digits: String = words.collect();
    let pairs = (0..digits.len()).step_by(2);
    let bytes = pairs.map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()).collect::<Option<Vec<u8>>>()?;
    (!bytes.is_empty()).then_some((number, bytes))
}

/// Our disassembler's dialect in that of `as`.
fn translate(text: &str) -> String {
    let sizes = [("oword", "xmmword"), ("yword", "ymmword")];
    let words = text.split(' ').map(|word| {
        let word = sizes.iter().find(|size| size.0 == word).map_or(word, |size| size.1);
        let is_size = ["byte", "word", "dword", "qword", "tbyte", "fword", "xmmword", "ymmword"].contains(&word);
        if is_size { format!("{word} ptr") } else { word.replace("*1", "") }
    });
    let text = words.collect::<Vec<_>>().join(" ");
    let text = match text.split_once(" far ") {
        Some((head, pointer)) if pointer.contains('[') && !pointer.contains("ptr") => {
            format!("{head} fword ptr {pointer}")
        }
        Some((head, pointer)) => format!("{head} {pointer}"),
        None => text,
    };
    let mnemonic = text.split(' ').next().unwrap_or_default();
    let branches = mnemonic.starts_with('j') || mnemonic.starts_with("loop") || mnemonic == "call";
    match text.rsplit_once(" 0x") {
        Some((head, target)) if branches && !target.contains(':') => match u64::from_str_radix(target, 16) {
            Ok(target) => format!("{head} .{:+}", target.wrapping_sub(ENTRY) as i64),
            Err(_) => text,
        },
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listings_are_read_and_texts_translated() {
        assert_eq!(read_line("   3 ???? 81448BFC 7856   \tadd x"), Some((3, vec![0x81, 0x44, 0x8b, 0xfc, 0x78, 0x56])));
        assert_eq!(read_line("   4                    \tlock add al, bl"), None);
        assert_eq!(translate("je 0x4810"), "je .+16");
        assert_eq!(translate("jmp far ds:[rax]"), "jmp fword ptr ds:[rax]");
        assert_eq!(translate("call far 0x23:0x4810"), "call 0x23:0x4810");
        assert_eq!(translate("paddb xmm0, oword ds:[rbx]"), "paddb xmm0, xmmword ptr ds:[rbx]");
    }
}
