//! A processor at work: the processor and the bus it is attached to, for the length of a run.

use platform::Bus;

use crate::Cpu;

/// The processor with its bus. Everything that may touch memory or devices is a method of this.
pub(crate) struct Exec<'a> {
    pub(crate) cpu: &'a mut Cpu,
    pub(crate) bus: &'a mut dyn Bus,
}
