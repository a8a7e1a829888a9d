//! The 16550A serial port (National Semiconductor PC16550D data sheet, 1995), wired as on PC boards: OUT2 gates the
//! interrupt. The other end of the line is always there and ready (DCD, DSR and CTS are up).
//!
//! Transmitting takes no time, so the transmitter is always empty; received bytes wait on the line until the FIFO
//! has room, so nothing is ever overrun from outside; the character time-out elapses at once.
//!
//! Deliberately missing: line errors and breaks, word lengths below eight bits, the effect of the divisor, DMA mode.

use platform::{RestoreError, Section};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Depth of the receive FIFO (PC16550D, 8.0).
pub const FIFO_BYTES: usize = 16;
/// Bytes that may wait on the line for room in the FIFO.
pub const LINE_BYTES: usize = 4096;
/// Transmitted bytes kept until the host takes them; further ones are lost.
pub const OUTPUT_BYTES: usize = 1 << 20;

mod register {
    pub const DATA: u8 = 0;
    pub const INTERRUPT_ENABLE: u8 = 1;
    pub const INTERRUPT_IDENTIFICATION: u8 = 2;
    pub const LINE_CONTROL: u8 = 3;
    pub const MODEM_CONTROL: u8 = 4;
    pub const LINE_STATUS: u8 = 5;
    pub const MODEM_STATUS: u8 = 6;
    pub const SCRATCH: u8 = 7;
}

/// Interrupt enable register.
mod ier {
    pub const RECEIVED_DATA: u8 = 1 << 0;
    pub const TRANSMITTER_EMPTY: u8 = 1 << 1;
    pub const LINE_STATUS: u8 = 1 << 2;
    pub const MODEM_STATUS: u8 = 1 << 3;
    pub const ALL: u8 = 0x0f;
}

/// Interrupt identification register (PC16550D, table IV), highest priority first.
mod iir {
    pub const LINE_STATUS: u8 = 0x06;
    pub const RECEIVED_DATA: u8 = 0x04;
    pub const CHARACTER_TIMEOUT: u8 = 0x0c;
    pub const TRANSMITTER_EMPTY: u8 = 0x02;
    pub const MODEM_STATUS: u8 = 0x00;
    pub const NONE: u8 = 0x01;
    pub const FIFOS_ENABLED: u8 = 0xc0;
}

/// FIFO control register.
mod fcr {
    pub const ENABLE: u8 = 1 << 0;
    pub const CLEAR_RECEIVER: u8 = 1 << 1;
    pub const TRIGGER_SHIFT: u8 = 6;
}

/// Line control register.
mod lcr {
    pub const DIVISOR_LATCH: u8 = 1 << 7;
}

/// Modem control register.
mod mcr {
    pub const DTR: u8 = 1 << 0;
    pub const RTS: u8 = 1 << 1;
    pub const OUT1: u8 = 1 << 2;
    pub const OUT2: u8 = 1 << 3;
    pub const LOOPBACK: u8 = 1 << 4;
    pub const ALL: u8 = 0x1f;
}

/// Line status register.
mod lsr {
    pub const DATA_READY: u8 = 1 << 0;
    pub const OVERRUN: u8 = 1 << 1;
    pub const TRANSMITTER_EMPTY: u8 = 1 << 5 | 1 << 6;
}

/// Modem status register; the low four bits tell what changed since the last read.
mod msr {
    pub const TRAILING_RI: u8 = 1 << 2;
    pub const CTS: u8 = 1 << 4;
    pub const DSR: u8 = 1 << 5;
    pub const RI: u8 = 1 << 6;
    pub const DCD: u8 = 1 << 7;
    pub const INPUTS: u8 = 0xf0;
    pub const CHANGES: u8 = 0x0f;
}

const VERSION: u16 = 1;

/// The port.
#[derive(Clone, Debug)]
pub struct Uart16550 {
    name: &'static str,
    state: State,
    output: Vec<u8>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct State {
    interrupt_enable: u8,
    fifo_control: u8,
    line_control: u8,
    modem_control: u8,
    modem_status: u8,
    scratch: u8,
    divisor: u16,
    overrun: bool,
    /// The "transmitter holding register empty" interrupt is pending: it is a latch, unlike the status bit.
    transmitter_interrupt: bool,
    fifo: VecDeque<u8>,
    line: VecDeque<u8>,
}

impl State {
    fn power_on() -> State {
        State {
            interrupt_enable: 0,
            fifo_control: 0,
            line_control: 0,
            modem_control: 0,
            modem_status: msr::DCD | msr::DSR | msr::CTS,
            scratch: 0,
            divisor: 12,
            overrun: false,
            transmitter_interrupt: false,
            fifo: VecDeque::new(),
            line: VecDeque::new(),
        }
    }
}

impl Uart16550 {
    /// `name` is the name of its snapshot section, unique on a board (`"uart16550.0"`).
    #[must_use]
    pub fn new(name: &'static str) -> Uart16550 {
        Uart16550 { name, state: State::power_on(), output: Vec::new() }
    }

    /// Master reset. Bytes on the line and bytes already transmitted are not the chip's and stay.
    pub fn reset(&mut self) {
        let line = std::mem::take(&mut self.state.line);
        self.state = State { line, ..State::power_on() };
        self.fill_fifo();
    }

    /// Reads register 0 to 7.
    pub fn read(&mut self, register: u8) -> u8 {
        let divisor_latch = self.state.line_control & lcr::DIVISOR_LATCH != 0;
        match register {
            register::DATA if divisor_latch => self.state.divisor.to_le_bytes()[0],
            register::INTERRUPT_ENABLE if divisor_latch => self.state.divisor.to_le_bytes()[1],
            register::DATA => self.receive(),
            register::INTERRUPT_ENABLE => self.state.interrupt_enable,
            register::INTERRUPT_IDENTIFICATION => self.identify_interrupt(),
            register::LINE_CONTROL => self.state.line_control,
            register::MODEM_CONTROL => self.state.modem_control,
            register::LINE_STATUS => {
                let status = self.line_status();
                self.state.overrun = false;
                status
            }
            register::MODEM_STATUS => {
                let status = self.state.modem_status;
                self.state.modem_status &= msr::INPUTS;
                status
            }
            register::SCRATCH => self.state.scratch,
            _ => 0xff,
        }
    }

    /// Writes register 0 to 7.
    pub fn write(&mut self, register: u8, value: u8) {
        let divisor_latch = self.state.line_control & lcr::DIVISOR_LATCH != 0;
        let [low, high] = self.state.divisor.to_le_bytes();
        match register {
            register::DATA if divisor_latch => self.state.divisor = u16::from_le_bytes([value, high]),
            register::INTERRUPT_ENABLE if divisor_latch => self.state.divisor = u16::from_le_bytes([low, value]),
            register::DATA => self.transmit(value),
            register::INTERRUPT_ENABLE => {
                // Enabling it while the transmitter is empty raises the interrupt at once (PC16550D, 8.6.5).
                let rising = value & !self.state.interrupt_enable & ier::TRANSMITTER_EMPTY != 0;
                self.state.transmitter_interrupt |= rising;
                self.state.interrupt_enable = value & ier::ALL;
            }
            register::INTERRUPT_IDENTIFICATION => self.write_fifo_control(value),
            register::LINE_CONTROL => self.state.line_control = value,
            register::MODEM_CONTROL => {
                self.state.modem_control = value & mcr::ALL;
                self.update_modem_inputs();
                self.fill_fifo();
            }
            register::SCRATCH => self.state.scratch = value,
            _ => {}
        }
    }

    /// Level of the interrupt pin after the OUT2 gate. Loopback disconnects OUT2 and with it the interrupt.
    #[must_use]
    pub fn irq_asserted(&self) -> bool {
        let gate = self.state.modem_control & (mcr::OUT2 | mcr::LOOPBACK) == mcr::OUT2;
        gate && self.pending_interrupt() != iir::NONE
    }

    /// Whether the guest has raised RTS: it is ready for input. Linux does so when the port is opened, after
    /// it cleared the FIFOs; bytes pushed earlier may be lost in that.
    #[must_use]
    pub fn request_to_send(&self) -> bool {
        self.state.modem_control & (mcr::RTS | mcr::LOOPBACK) == mcr::RTS
    }

    /// Bytes arriving on the line; answers how many were accepted. Push the rest again later.
    pub fn push_input(&mut self, bytes: &[u8]) -> usize {
        let accepted = bytes.len().min(LINE_BYTES - self.state.line.len());
        self.state.line.extend(&bytes[..accepted]);
        self.fill_fifo();
        accepted
    }

    /// Bytes transmitted since the last call.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// Bytes waiting in [`Uart16550::take_output`].
    #[must_use]
    pub fn output_len(&self) -> usize {
        self.output.len()
    }

    fn fifo_enabled(&self) -> bool {
        self.state.fifo_control & fcr::ENABLE != 0
    }

    fn receive_capacity(&self) -> usize {
        if self.fifo_enabled() { FIFO_BYTES } else { 1 }
    }

    fn fill_fifo(&mut self) {
        if self.state.modem_control & mcr::LOOPBACK != 0 {
            return;
        }
        let room = self.receive_capacity().saturating_sub(self.state.fifo.len());
        let arriving = room.min(self.state.line.len());
        self.state.fifo.extend(self.state.line.drain(..arriving));
    }

    fn receive(&mut self) -> u8 {
        let byte = self.state.fifo.pop_front().unwrap_or(0);
        self.fill_fifo();
        byte
    }

    fn transmit(&mut self, byte: u8) {
        if self.state.modem_control & mcr::LOOPBACK != 0 {
            if self.state.fifo.len() < self.receive_capacity() {
                self.state.fifo.push_back(byte);
            } else {
                self.state.overrun = true;
            }
        } else if self.output.len() < OUTPUT_BYTES {
            self.output.push(byte);
        }
        self.state.transmitter_interrupt = true;
    }

    fn line_status(&self) -> u8 {
        let ready = if self.state.fifo.is_empty() { 0 } else { lsr::DATA_READY };
        let overrun = if self.state.overrun { lsr::OVERRUN } else { 0 };
        lsr::TRANSMITTER_EMPTY | ready | overrun
    }

    /// The interrupt of highest priority, as the identification register encodes it.
    fn pending_interrupt(&self) -> u8 {
        let enabled = |bit| self.state.interrupt_enable & bit != 0;
        let trigger = [1, 4, 8, 14][usize::from(self.state.fifo_control >> fcr::TRIGGER_SHIFT)];
        if enabled(ier::LINE_STATUS) && self.state.overrun {
            iir::LINE_STATUS
        } else if enabled(ier::RECEIVED_DATA) && !self.state.fifo.is_empty() {
            let waits = self.fifo_enabled() && self.state.fifo.len() < trigger;
            if waits { iir::CHARACTER_TIMEOUT } else { iir::RECEIVED_DATA }
        } else if enabled(ier::TRANSMITTER_EMPTY) && self.state.transmitter_interrupt {
            iir::TRANSMITTER_EMPTY
        } else if enabled(ier::MODEM_STATUS) && self.state.modem_status & msr::CHANGES != 0 {
            iir::MODEM_STATUS
        } else {
            iir::NONE
        }
    }

    /// Reading the identification register resets the transmitter interrupt if that is what it shows
    /// (PC16550D, table IV).
    fn identify_interrupt(&mut self) -> u8 {
        let pending = self.pending_interrupt();
        if pending == iir::TRANSMITTER_EMPTY {
            self.state.transmitter_interrupt = false;
        }
        pending | if self.fifo_enabled() { iir::FIFOS_ENABLED } else { 0 }
    }

    fn write_fifo_control(&mut self, value: u8) {
        // The other bits take effect only together with the enable bit; changing it clears the FIFOs (8.6.4).
        let value = if value & fcr::ENABLE != 0 { value } else { 0 };
        let toggled = (value ^ self.state.fifo_control) & fcr::ENABLE != 0;
        if toggled || value & fcr::CLEAR_RECEIVER != 0 {
            self.state.fifo.clear();
        }
        self.state.fifo_control = value & (fcr::ENABLE | 3 << fcr::TRIGGER_SHIFT);
        self.fill_fifo();
    }

    /// In loopback the modem outputs drive the modem inputs (PC16550D, 8.6.7).
    fn update_modem_inputs(&mut self) {
        let control = self.state.modem_control;
        let inputs = if control & mcr::LOOPBACK == 0 {
            msr::DCD | msr::DSR | msr::CTS
        } else {
            let wire = |output, input| if control & output != 0 { input } else { 0 };
            wire(mcr::DTR, msr::DSR) | wire(mcr::RTS, msr::CTS) | wire(mcr::OUT1, msr::RI) | wire(mcr::OUT2, msr::DCD)
        };
        let before = self.state.modem_status;
        let changed = (before ^ inputs) & (msr::CTS | msr::DSR | msr::DCD);
        let ring_ended = if before & !inputs & msr::RI != 0 { msr::TRAILING_RI } else { 0 };
        self.state.modem_status = inputs | before & msr::CHANGES | changed >> 4 | ring_ended;
    }

    /// Writes the state. Output the host has not taken yet is not part of it.
    #[must_use]
    pub fn save(&self) -> Section {
        Section::encode(self.name, VERSION, &self.state)
    }

    /// Replaces the state.
    ///
    /// # Errors
    /// The section is of another version or malformed.
    pub fn restore(&mut self, section: &Section) -> Result<(), RestoreError> {
        let state: State = section.decode(VERSION)?;
        if state.fifo.len() > FIFO_BYTES || state.line.len() > LINE_BYTES {
            return Err(section.damaged());
        }
        self.state = state;
        self.output.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
