//! A machine: one processor on one board, and the loop that lets guest time pass.

mod profile;

use cpu::compiled::Translator;
use cpu::{Cpu, State};
use platform::{PAGE_BYTES, PhysAddr, Vcpu, VcpuExit};
use x86::Feature;

use crate::board::{BoardConfig, BoardEvent, Pc};
use crate::boot::{self, Loader};
use crate::clock::{GuestClock, Idle};
use crate::trace::Category;
pub use profile::{HotRegion, Listing};

use crate::{Boot, Config, MachineError, Stats, acpi, entry, layout, smbios};

/// Frequency of the time-stamp counter: it counts guest nanoseconds.
pub(crate) const TSC_HZ: u64 = 1_000_000_000;

/// Why [`Machine::run`] returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunOutcome {
    /// The budget is used up; call again.
    Running,
    /// The guest waits. Call again at this host time, or when there is input; without a time, only input wakes it.
    Idle {
        /// Host time of the next deadline, in nanoseconds.
        until_ns: Option<u64>,
    },
    /// The guest switched the machine off.
    PoweredOff,
    /// The guest wrote an exit status to the debug exit port.
    DebugExit(u32),
    /// The guest reset the machine: [`Machine::reboot`] starts it again.
    Reset,
    /// The machine cannot go on: why, and the processor's state, readable.
    Fault(String),
}

/// An x86 PC that is switched on.
pub struct Machine {
    config: Config,
    cpu: Cpu,
    board: Pc,
    clock: GuestClock,
    /// What [`Machine::run`] answers from now on.
    ended: Option<RunOutcome>,
    exits: u64,
    halts: u64,
    resets: u64,
}

impl Machine {
    /// Builds the board, loads `boot`, and switches on.
    ///
    /// # Errors
    /// Any [`MachineError`] but those of snapshots.
    pub fn new(config: Config, boot: &Boot) -> Result<Machine, MachineError> {
        let foreign_firmware = matches!(boot, Boot::Firmware { .. });
        let rom_bytes = boot::system_rom(boot)?.length() as u64;
        let mut machine = Machine::assemble(config, rom_bytes, foreign_firmware)?;
        machine.load(boot)?;
        Ok(machine)
    }

    /// Board and processor with empty memory; the ROM's length is one of those that can be mapped.
    pub(crate) fn assemble(
        mut config: Config,
        rom_bytes: u64,
        foreign_firmware: bool,
    ) -> Result<Machine, MachineError> {
        config.memory_bytes &= !(PAGE_BYTES - 1);
        check_memory(config.memory_bytes)?;
        // The processor before the guest's memory: in WebAssembly what compiled code looks at lies where linear memory begins, and its addresses are short.
        let mut cpu = Cpu::of_model(config.cpu);
        let board = Pc::new(BoardConfig {
            ram_bytes: config.memory_bytes,
            rom_bytes,
            unix_seconds: config.unix_seconds.max(0) as u64,
            tsc_hz: TSC_HZ,
            firmware_done: !foreign_firmware,
        })?;
        let clock = GuestClock::new(config.clock);
        let trace = config.trace.clone();
        cpu.seed_random(config.random_seed);
        let (ended, exits, halts, resets) = (None, 0, 0, 0);
        let mut machine = Machine { config, cpu, board, clock, ended, exits, halts, resets };
        machine.set_trace(&trace)?;
        Ok(machine)
    }

    /// Everything between RESET# and the first instruction of what is booted.
    fn load(&mut self, boot: &Boot) -> Result<(), MachineError> {
        let (ram_bytes, foreign_firmware) = (self.board.ram_bytes(), self.board.has_foreign_firmware());
        let memory = self.board.memory();
        let rom = boot::system_rom(boot)?;
        let socket = &mut memory.as_mut_slice()[ram_bytes as usize..];
        if rom.length() != socket.len() {
            return Err(MachineError::FirmwareSizeInvalid { bytes: rom.length() as u64 });
        }
        rom.read(0, socket);
        let tables = acpi::build(PhysAddr(layout::TABLES.start));
        let long_mode = self.config.cpu.features().contains(Feature::LongMode);
        let mut loader = Loader::new(memory, ram_bytes, tables.rsdp, self.config.decompress_on_host, long_mode);
        if !foreign_firmware {
            put_tables(&mut loader, &tables)?;
        }
        let state = boot::load(boot, &mut loader)?;
        entry::enter(&mut self.cpu, &mut loader, state)
    }

    /// Starts again after [`RunOutcome::Reset`], with memory as the guest left it but for what `boot` puts there. The machine keeps
    /// no copy of what it booted, which may be the largest thing beside guest memory: the caller hands it over again.
    ///
    /// # Errors
    /// Those of [`Machine::new`], where `boot` is not what the machine was built for.
    pub fn reboot(&mut self, boot: &Boot) -> Result<(), MachineError> {
        self.board.reset(self.clock.now());
        self.load(boot)?;
        self.ended = None;
        Ok(())
    }

    /// Runs until the budget of instructions is used up or there is another reason in [`RunOutcome`].
    ///
    /// `host_now_ns` is any clock of the caller's that never goes backwards.
    pub fn run(&mut self, host_now_ns: u64, budget_instructions: u64) -> RunOutcome {
        if let Some(ended) = &self.ended {
            return ended.clone();
        }
        let before = self.cpu.work();
        self.clock.begin(host_now_ns, before, budget_instructions, self.board.deadline());
        // Every turn costs at least one of the budget, so that no guest can keep the caller here.
        let mut turns = 0;
        loop {
            if let Some(outcome) = self.settle_board() {
                return outcome;
            }
            let used = self.cpu.work() - before + turns;
            if used >= budget_instructions {
                return RunOutcome::Running;
            }
            turns += 1;
            if let Some(outcome) = self.turn(budget_instructions - used) {
                return outcome;
            }
        }
    }

    /// What has become due on the board, and what that or the guest asked for.
    pub(crate) fn settle_board(&mut self) -> Option<RunOutcome> {
        if self.board.deadline().is_some_and(|deadline| deadline <= self.clock.now()) {
            self.board.advance(self.clock.now());
        }
        let outcome = self.board.take_event().and_then(|event| self.handle(event));
        if outcome.is_some() {
            self.ended.clone_from(&outcome);
        }
        outcome
    }

    /// Lets the processor run until it or a chip needs the board.
    pub(crate) fn turn(&mut self, budget: u64) -> Option<RunOutcome> {
        let slice = self.clock.instructions_until(self.board.deadline()).min(budget);
        let before = self.cpu.work();
        let exit = self.cpu.run(&mut self.board, self.clock.now(), self.clock.rate(), slice);
        self.clock.advance(self.cpu.work() - before);
        self.exits += 1;
        if self.board.trace_mut().any() {
            let processor = self.cpu.take_trace();
            self.board.trace_mut().finish_turn(&processor);
        }
        match exit {
            VcpuExit::Yield => None,
            VcpuExit::Halt => {
                self.halts += 1;
                match self.clock.idle(self.board.deadline()) {
                    Idle::Jumped => None,
                    Idle::Sleep(until_ns) => Some(RunOutcome::Idle { until_ns }),
                }
            }
            VcpuExit::Shutdown => self.shut_down(),
        }
    }

    /// A triple fault: the board resets the processor. Whoever wants no reboot wants to see why.
    fn shut_down(&mut self) -> Option<RunOutcome> {
        if self.config.no_reboot {
            let fault = RunOutcome::Fault(format!("the guest's processor shut down\n{}", self.dump()));
            self.ended = Some(fault.clone());
            return Some(fault);
        }
        let outcome = self.handle(BoardEvent::ProcessorReset);
        self.ended = outcome.clone();
        outcome
    }

    fn handle(&mut self, event: BoardEvent) -> Option<RunOutcome> {
        match event {
            BoardEvent::PowerOff => Some(RunOutcome::PoweredOff),
            BoardEvent::DebugExit(status) => Some(RunOutcome::DebugExit(status)),
            // Only foreign firmware knows how to go on after the processor alone was reset: the way 80286 software
            // left protected mode. Everybody else means a reboot.
            BoardEvent::ProcessorReset if self.board.has_foreign_firmware() => {
                self.cpu.reset();
                self.board.reset_processor();
                None
            }
            BoardEvent::ProcessorReset | BoardEvent::Reset => {
                self.resets += 1;
                Some(RunOutcome::Reset)
            }
        }
    }

    /// Compiles with `translator` what has run `hot` times, from now on.
    pub fn set_translator(&mut self, translator: Box<dyn Translator>, hot: u32) {
        self.cpu.set_translator(translator, hot);
    }

    /// Sends bytes to serial port `port` (0 is COM1); says how many it took. The rest is to be sent again later.
    pub fn serial_input(&mut self, port: usize, bytes: &[u8]) -> usize {
        self.board.serial_input(port, bytes)
    }

    /// What the guest sent to serial port `port` since the last call.
    pub fn serial_output(&mut self, port: usize) -> Vec<u8> {
        self.board.serial_output(port)
    }

    /// Types on the keyboard: make and break codes of scan code set 2. Says how many bytes it took.
    pub fn keyboard_input(&mut self, bytes: &[u8]) -> usize {
        self.board.keyboard_input(bytes, self.clock.now())
    }

    /// Presses the power button; most guests then shut down.
    pub fn press_power_button(&mut self) {
        self.board.press_power_button(self.clock.now());
    }

    /// Counters since power-on.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            processor: self.cpu.stats(),
            guest_ns: self.clock.now(),
            exits: self.exits,
            halts: self.halts,
            resets: self.resets,
            devices: *self.board.counters(),
            memory_bytes: self.board.ram_bytes(),
        }
    }

    /// Chooses what is traced from now on: `exec`, `int`, `pio`, `mmio`, `irq` with commas between, or nothing.
    ///
    /// # Errors
    /// [`MachineError::OptionInvalid`] for any other name; what is traced stays as it was.
    pub fn set_trace(&mut self, categories: &str) -> Result<(), MachineError> {
        let trace = self.board.trace_mut();
        trace.select(categories)?;
        self.cpu.set_trace(trace.on(Category::Exec), trace.on(Category::Int));
        Ok(())
    }

    /// What was traced since the last call, oldest line first.
    pub fn take_trace(&mut self) -> String {
        self.board.trace_mut().take()
    }

    /// For those who debug firmware and kernels: the codes written to port 0x80, and the text written to port 0xe9
    /// since the last call.
    pub fn debug_output(&mut self) -> (Vec<u8>, Vec<u8>) {
        self.board.debug_output()
    }

    /// The processor's state, readable.
    #[must_use]
    pub fn dump(&self) -> String {
        cpu::dump(&self.cpu.state)
    }

    pub(crate) fn state(&self) -> &State {
        &self.cpu.state
    }

    pub(crate) fn memory(&mut self) -> &[u8] {
        self.board.memory().as_slice()
    }

    pub(crate) fn instructions(&self) -> u64 {
        self.cpu.instructions()
    }

    /// See [`Cpu::set_brief`].
    pub(crate) fn set_brief(&mut self, brief: bool) {
        self.cpu.set_brief(brief);
    }

    pub(crate) fn parts(&self) -> (&Config, &Cpu, &Pc, &GuestClock) {
        (&self.config, &self.cpu, &self.board, &self.clock)
    }

    pub(crate) fn parts_mut(&mut self) -> (&mut Cpu, &mut Pc, &mut GuestClock) {
        (&mut self.cpu, &mut self.board, &mut self.clock)
    }
}

/// ACPI and SMBIOS tables, as our BIOS would have left them.
fn put_tables(loader: &mut Loader<'_>, tables: &acpi::Tables) -> Result<(), MachineError> {
    let behind = (tables.rsdp.0 + tables.bytes.len() as u64).next_multiple_of(16);
    let smbios = smbios::build(PhysAddr(behind));
    loader.put(tables.rsdp.0, &tables.bytes)?;
    loader.put(behind, &smbios.table)?;
    loader.rom()[smbios::ANCHOR_OFFSET..][..smbios.anchor.len()].copy_from_slice(&smbios.anchor);
    Ok(())
}

fn check_memory(configured: u64) -> Result<(), MachineError> {
    if configured < layout::RAM_MINIMUM {
        return Err(MachineError::MemoryTooSmall { needed: layout::RAM_MINIMUM, configured });
    }
    if configured > layout::RAM_LIMIT {
        return Err(MachineError::MemoryTooLarge { limit: layout::RAM_LIMIT, configured });
    }
    Ok(())
}
