//! A port a test guest writes its verdict to. The exit status is `value * 2 + 1`, as under QEMU's device of the same
//! name, so that 0 stays "powered off" and test kernels written for it work unchanged.

/// The port. It has no state a snapshot would keep: a written verdict ends the machine.
#[derive(Clone, Debug, Default)]
pub struct IsaDebugExit {
    status: Option<u32>,
}

impl IsaDebugExit {
    /// No verdict yet.
    #[must_use]
    pub fn new() -> IsaDebugExit {
        IsaDebugExit::default()
    }

    /// Takes the verdict of a write of any width; the first one counts.
    pub fn write(&mut self, value: u32) {
        self.status.get_or_insert(value.wrapping_mul(2) | 1);
    }

    /// The exit status, once.
    pub fn take_status(&mut self) -> Option<u32> {
        self.status.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_twice_the_value_plus_one() {
        let mut port = IsaDebugExit::new();
        port.write(0x10);
        port.write(0x11);
        assert_eq!(port.take_status(), Some(33));
        assert_eq!(port.take_status(), None);
    }
}
