//! The schematic's wires: which pin goes where. Followed after every change of a chip.

use devices::hpet::{self, HpetRoute};
use devices::lapic::LapicEvent;
use devices::reset_control::Reset;

use super::{BoardEvent, Pc};
use crate::layout;
use crate::trace::Category;

impl Pc {
    /// Follows the wires after any change of a chip.
    pub(super) fn settle(&mut self) {
        self.wire_timers();
        self.wire_isa_interrupts();
        self.wire_apics();
        self.wire_processor_pins();
        let deadlines = [
            self.pit.next_deadline(),
            self.rtc.next_deadline(),
            self.hpet.next_deadline(),
            self.lapic.next_deadline(),
            self.pm.next_deadline(),
            self.keyboard.next_deadline(),
        ];
        self.deadline = deadlines.into_iter().flatten().min();
    }

    /// The interval timer and the clock keep interrupts 0 and 8, unless the event timer replaces them.
    fn wire_timers(&mut self) {
        let timer_edge = self.pit.take_timer_edge();
        let replaced = self.hpet.legacy_replacement();
        if !replaced {
            if timer_edge {
                self.pulse_timer();
            }
            self.set_isa_line(layout::IRQ_RTC, self.rtc.irq_asserted());
        }
        for timer in 0..hpet::TIMERS {
            let edge = self.hpet.take_edge(timer);
            match self.hpet.route(timer) {
                HpetRoute::LegacyTimer if edge => self.pulse_timer(),
                HpetRoute::LegacyRtc if edge => self.pulse_isa_line(layout::IRQ_RTC),
                HpetRoute::IoApicPin(pin) => {
                    let pin = usize::from(pin);
                    if edge {
                        self.ioapic.set_line(pin, false);
                        self.ioapic.set_line(pin, true);
                    }
                    // A pin shared with an ISA interrupt is driven by that interrupt's own chip.
                    if edge || pin >= usize::from(layout::ISA_IRQS) {
                        self.ioapic.set_line(pin, self.hpet.irq_asserted(timer));
                    }
                }
                HpetRoute::LegacyTimer | HpetRoute::LegacyRtc => {}
            }
        }
    }

    fn wire_isa_interrupts(&mut self) {
        self.set_isa_line(layout::IRQ_KEYBOARD, self.keyboard.keyboard_irq());
        self.set_isa_line(layout::IRQ_MOUSE, self.keyboard.mouse_irq());
        for port in 0..self.uarts.len() {
            self.set_isa_line(layout::IRQ_SERIAL[port], self.uarts[port].irq_asserted());
        }
        self.set_isa_line(layout::IRQ_COPROCESSOR, self.isa_bridge.coprocessor_irq());
        self.set_isa_line(layout::IRQ_SCI, self.pm.sci_asserted());
    }

    /// The 8259's output is LINT0 and I/O APIC input 0; messages and ends of interrupts travel between the APICs
    /// until nobody has any left.
    fn wire_apics(&mut self) {
        let external = self.pic.irq_asserted();
        self.lapic.set_lint0(external);
        self.ioapic.set_line(0, external);
        loop {
            if let Some(message) = self.ioapic.take_message() {
                if self.lapic.accepts(&message) {
                    self.lapic.deliver(&message);
                }
            } else if let Some(event) = self.lapic.take_event() {
                match event {
                    LapicEvent::EndOfInterrupt { vector } => self.ioapic.end_of_interrupt(vector),
                    // There is no other processor to hear it.
                    LapicEvent::Send(_) => {}
                }
            } else {
                break;
            }
        }
    }

    fn wire_processor_pins(&mut self) {
        self.interrupt_asserted = self.lapic.interrupt_asserted();
        self.nmi |= self.lapic.take_nmi();
        let a20_open = self.keyboard.a20_gate() || self.port92.a20_gate();
        self.map_changed |= a20_open != self.a20_open || self.host_bridge.take_map_changed();
        self.a20_open = a20_open;
        // A start-up message to the only processor, which never waits for one, has no effect (SDM vol. 3, 9.4.1).
        self.lapic.take_startup();
        self.note_events();
    }

    fn note_events(&mut self) {
        let processor_reset = self.keyboard.take_reset() | self.port92.take_reset() | self.lapic.take_init();
        let event = if self.pm.take_power_off() {
            Some(BoardEvent::PowerOff)
        } else if let Some(status) = self.debug_exit.take_status() {
            Some(BoardEvent::DebugExit(status))
        } else {
            match self.reset_control.take_reset() {
                Some(Reset::Hard) => Some(BoardEvent::Reset),
                Some(Reset::Soft) => Some(BoardEvent::ProcessorReset),
                None => processor_reset.then_some(BoardEvent::ProcessorReset),
            }
        };
        self.event = self.event.or(event);
    }

    /// An ISA interrupt reaches both interrupt controllers, at the same number.
    fn set_isa_line(&mut self, irq: u8, level: bool) {
        self.pic.set_line(irq, level);
        self.ioapic.set_line(irq.into(), level);
    }

    fn pulse_isa_line(&mut self, irq: u8) {
        self.trace_line(irq);
        self.set_isa_line(irq, false);
        self.set_isa_line(irq, true);
    }

    /// Interrupt 0 arrives at another input of the I/O APIC, since its own takes the 8259's output.
    fn pulse_timer(&mut self) {
        self.trace_line(layout::IRQ_TIMER);
        for level in [false, true] {
            self.pic.set_line(layout::IRQ_TIMER, level);
            self.ioapic.set_line(layout::GSI_TIMER as usize, level);
        }
    }

    fn trace_line(&mut self, irq: u8) {
        if self.trace.on(Category::Irq) {
            self.trace.line(format_args!("irq {irq} rises"));
        }
    }
}
