//! Snapshots are a list of named, versioned sections; each part saves and restores exactly one.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Why a section cannot be restored.
#[derive(thiserror::Error, Debug, Clone, PartialEq, Eq)]
pub enum RestoreError {
    /// The section is not in the snapshot.
    #[error("the snapshot has no section \"{0}\"")]
    Missing(String),
    /// The section has a version this build does not read.
    #[error("section \"{name}\" has version {found}, this build reads version {wanted}")]
    Version {
        /// Name of the section.
        name: String,
        /// Version found in the snapshot.
        found: u16,
        /// Version this build reads.
        wanted: u16,
    },
    /// The bytes do not decode, or decode to a state the part cannot be in.
    #[error("section \"{0}\" is damaged")]
    Damaged(String),
}

/// The saved state of one part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    name: String,
    version: u16,
    bytes: Vec<u8>,
}

impl Section {
    /// Encodes `state` (postcard) under `name`. `version` changes whenever the encoding of the state does.
    #[must_use]
    pub fn encode<T: Serialize>(name: &str, version: u16, state: &T) -> Section {
        let bytes = postcard::to_allocvec(state).expect("plain data encodes into memory");
        Section { name: name.to_owned(), version, bytes }
    }

    /// Name of the part, unique within a snapshot (`"i8254"`, `"uart16550.0"`).
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Decodes the state.
    ///
    /// # Errors
    /// [`RestoreError::Version`] or [`RestoreError::Damaged`].
    pub fn decode<T: DeserializeOwned>(&self, version: u16) -> Result<T, RestoreError> {
        if self.version != version {
            return Err(RestoreError::Version { name: self.name.clone(), found: self.version, wanted: version });
        }
        postcard::from_bytes(&self.bytes).map_err(|_| self.damaged())
    }

    /// The error for a state that decodes but cannot be.
    #[must_use]
    pub fn damaged(&self) -> RestoreError {
        RestoreError::Damaged(self.name.clone())
    }
}

/// All sections of one machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    sections: Vec<Section>,
}

impl Snapshot {
    /// Adds a part's section.
    pub fn push(&mut self, section: Section) {
        self.sections.push(section);
    }

    /// The section of the part called `name`.
    ///
    /// # Errors
    /// [`RestoreError::Missing`].
    pub fn section(&self, name: &str) -> Result<&Section, RestoreError> {
        self.sections.iter().find(|s| s.name == name).ok_or_else(|| RestoreError::Missing(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_of_another_version_is_refused_by_name() {
        let section = Section::encode("i8254", 1, &7u32);
        assert_eq!(section.decode::<u32>(1), Ok(7));
        let error = section.decode::<u32>(2).unwrap_err();
        assert_eq!(error.to_string(), "section \"i8254\" has version 1, this build reads version 2");
    }

    #[test]
    fn truncated_bytes_are_damage_not_a_panic() {
        let mut section = Section::encode("cpu", 1, &[1u64; 4]);
        section.bytes.truncate(2);
        assert_eq!(section.decode::<[u64; 4]>(1), Err(RestoreError::Damaged("cpu".into())));
    }
}
