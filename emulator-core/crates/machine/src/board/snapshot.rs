//! Saving and restoring the chips; every part has its own section.

use platform::{RestoreError, Section, Snapshot};
use serde::{Deserialize, Serialize};

use super::Pc;

const WIRES: &str = "board.wires";
const WIRES_VERSION: u16 = 1;

/// What lies on the wires between chips: an NMI the processor has not taken yet.
#[derive(Serialize, Deserialize)]
struct Wires {
    nmi: bool,
}

impl Pc {
    /// Adds every chip's section.
    pub fn save(&self, snapshot: &mut Snapshot) {
        let chips = [
            self.lapic.save(),
            self.ioapic.save(),
            self.host_bridge.save(),
            self.pci.save(),
            self.isa_bridge.save(),
            self.pm.save(),
            self.pic.save(),
            self.pit.save(),
            self.rtc.save(),
            self.hpet.save(),
            self.keyboard.save(),
            self.uarts[0].save(),
            self.uarts[1].save(),
            self.dma[0].save(),
            self.dma[1].save(),
            self.dma_pages.save(),
            self.port61.save(),
            self.port92.save(),
            self.reset_control.save(),
            self.debug.save(),
            Section::encode(WIRES, WIRES_VERSION, &Wires { nmi: self.nmi }),
        ];
        chips.into_iter().for_each(|section| snapshot.push(section));
    }

    /// Replaces every chip's state; on an error the board is to be thrown away.
    pub fn restore(&mut self, snapshot: &Snapshot) -> Result<(), RestoreError> {
        /// A chip finds its section by the name it would save under.
        macro_rules! restore {
            ($($chip:expr),* $(,)?) => {
                $(let name = $chip.save().name().to_owned();
                $chip.restore(snapshot.section(&name)?)?;)*
            };
        }
        restore!(
            self.lapic,
            self.ioapic,
            self.host_bridge,
            self.pci,
            self.isa_bridge,
            self.pm,
            self.pic,
            self.pit,
            self.rtc,
            self.hpet,
            self.keyboard,
            self.uarts[0],
            self.uarts[1],
            self.dma[0],
            self.dma[1],
            self.dma_pages,
            self.port61,
            self.port92,
            self.reset_control,
            self.debug,
        );
        let wires: Wires = snapshot.section(WIRES)?.decode(WIRES_VERSION)?;
        self.nmi = wires.nmi;
        self.map_changed = true;
        self.settle();
        Ok(())
    }
}
