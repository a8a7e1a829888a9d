use super::*;
use crate::layout;

fn tables() -> Tables {
    build(PhysAddr(layout::TABLES.start))
}

fn table_at(tables: &Tables, address: u64) -> &[u8] {
    let bytes = &tables.bytes[(address - layout::TABLES.start) as usize..];
    let length = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
    &bytes[..length]
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

fn dword(bytes: &[u8], offset: usize) -> u64 {
    u32::from_le_bytes(bytes[offset..offset + 4].try_into().unwrap()).into()
}

fn listed(tables: &Tables) -> Vec<&[u8]> {
    let rsdt = table_at(tables, dword(&tables.bytes, 16));
    (36..rsdt.len()).step_by(4).map(|offset| table_at(tables, dword(rsdt, offset))).collect()
}

#[test]
fn both_checksums_of_the_root_pointer_are_zero() {
    let tables = tables();
    assert_eq!(&tables.bytes[..8], b"RSD PTR ");
    assert_eq!((sum(&tables.bytes[..20]), sum(&tables.bytes[..36])), (0, 0));
}

#[test]
fn every_listed_table_sums_to_zero() {
    let tables = tables();
    let signatures: Vec<_> = listed(&tables).iter().map(|table| table[..4].to_vec()).collect();
    assert_eq!(signatures, [b"FACP", b"APIC", b"HPET", b"MCFG"]);
    for table in listed(&tables) {
        assert_eq!(sum(table), 0, "{:?}", &table[..4]);
    }
    let dsdt = table_at(&tables, dword(listed(&tables)[0], 40));
    assert_eq!((&dsdt[..4], sum(dsdt)), (&b"DSDT"[..], 0));
}

#[test]
fn both_root_tables_list_the_same_addresses() {
    let tables = tables();
    let rsdt = table_at(&tables, dword(&tables.bytes, 16));
    let xsdt = table_at(&tables, dword(&tables.bytes, 24));
    let short: Vec<_> = (36..rsdt.len()).step_by(4).map(|offset| dword(rsdt, offset)).collect();
    let long: Vec<_> = (36..xsdt.len()).step_by(8).map(|offset| dword(xsdt, offset)).collect();
    assert_eq!((short, sum(xsdt)), (long, 0));
}

#[test]
fn the_tables_fit_their_segment_and_the_facs_is_aligned() {
    let tables = tables();
    assert!(tables.bytes.len() as u64 <= layout::TABLES.end - layout::TABLES.start);
    assert_eq!(dword(listed(&tables)[0], 36) % 64, 0);
}

#[test]
fn intels_compiler_disassembles_and_compiles_every_table_without_complaint() {
    let directory = std::env::temp_dir().join(format!("terrarium-acpi-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let tables = tables();
    let mut files = listed(&tables);
    files.push(table_at(&tables, dword(files[0], 40)));
    for table in files {
        let name = String::from_utf8(table[..4].to_vec()).unwrap();
        let run =
            |arguments: &[&str]| std::process::Command::new("iasl").args(arguments).current_dir(&directory).output();
        std::fs::write(directory.join(format!("{name}.aml")), table).unwrap();
        let Ok(disassembled) = run(&["-d", &format!("{name}.aml")]) else {
            crate::skipped("no iasl on this machine (Debian: acpica-tools)");
            break;
        };
        assert!(disassembled.status.success(), "{}", String::from_utf8_lossy(&disassembled.stderr));
        let compiled = run(&["-we", &format!("{name}.dsl")]).unwrap();
        let report = String::from_utf8_lossy(&compiled.stdout).into_owned();
        assert!(compiled.status.success() && report.contains("0 Errors"), "{name}: {report}");
        assert!(name != "DSDT" || report.contains("0 Warnings"), "{report}");
    }
    std::fs::remove_dir_all(&directory).unwrap();
}
