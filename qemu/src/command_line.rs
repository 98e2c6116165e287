// SPDX-License-Identifier: MIT OR Apache-2.0
//! QEMU's command line for a guest with cards.

use std::ffi::OsString;
use std::path::PathBuf;

use augur_agent::PORT_NAME;

use crate::Accelerator;
use crate::locate::DEVICE;

/// The card's virtio device id: registered, and without a driver in Linux.
const VIRTIO_ID: u16 = 38;
/// Bytes of the card's configuration space.
const CONFIG_BYTES: u16 = 256;
/// Entries of each of the card's queues.
const QUEUE_ENTRIES: u16 = 256;

/// One card of the guest.
#[derive(Debug, Clone)]
pub struct Card {
    /// Where the card process listens.
    pub socket: PathBuf,
    /// How many virtqueues it has.
    pub queues: u16,
}

/// Who uses the guest's first console (`/dev/hvc0`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Console {
    /// Nobody: there is none.
    None,
    /// Our own terminal.
    Terminal,
}

/// A guest to boot.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// What executes the guest's instructions.
    pub accelerator: Accelerator,
    /// Guest memory in MiB.
    pub memory_mib: u64,
    /// Guest processors.
    pub processors: u32,
    /// A bootable Linux kernel.
    pub kernel: PathBuf,
    /// The initramfs; its init starts the agent.
    pub initramfs: PathBuf,
    /// Words added to the kernel's command line.
    pub kernel_arguments: Vec<String>,
    /// The cards, each behind a root port of its own.
    pub cards: Vec<Card>,
    /// The first console.
    pub console: Console,
    /// Arguments added to QEMU's command line as they are.
    pub additional: Vec<OsString>,
}

/// The sockets and the log that a machine makes for itself.
#[derive(Debug, Clone)]
pub struct Endpoints {
    /// Where QEMU listens for QMP.
    pub qmp: PathBuf,
    /// Where QEMU listens for the host's end of the agent's port.
    pub agent: PathBuf,
    /// Where QEMU writes the serial console.
    pub serial_log: PathBuf,
}

/// The name of card `index` on QEMU's side, as in `device_del`.
pub fn card_name(index: usize) -> String {
    format!("card{index}")
}

impl Configuration {
    /// All arguments of QEMU, without the program.
    pub fn arguments(&self, endpoints: &Endpoints) -> Vec<OsString> {
        let mut line = Line::default();
        line.option("-machine", "q35,memory-backend=memory");
        line.option("-accel", self.accelerator.argument());
        line.option("-cpu", self.accelerator.processor());
        line.option("-smp", self.processors.to_string());
        line.option("-m", format!("{}M", self.memory_mib));
        line.option(
            "-object",
            format!(
                "memory-backend-memfd,id=memory,size={}M,share=on",
                self.memory_mib
            ),
        );
        line.flag("-nodefaults");
        line.flag("-no-user-config");
        line.option("-display", "none");
        // A guest that powers off ends QEMU; one that reboots or panics does
        // not: who runs it decides.
        line.option("-action", "reboot=reset,shutdown=poweroff,panic=none");

        line.path_option(
            "-chardev",
            "file,id=serial,path=",
            &endpoints.serial_log,
            "",
        );
        line.option("-serial", "chardev:serial");
        line.path_option("-qmp", "unix:", &endpoints.qmp, ",server=on,wait=off");
        line.option("-device", "virtio-serial-pci,id=ports,max_ports=4");
        line.path_option(
            "-chardev",
            "socket,id=agent,server=on,wait=off,path=",
            &endpoints.agent,
            "",
        );
        line.option(
            "-device",
            format!("virtserialport,bus=ports.0,nr=1,chardev=agent,name={PORT_NAME}"),
        );
        if self.console == Console::Terminal {
            line.option("-chardev", "stdio,id=console,signal=off");
            line.option("-device", "virtconsole,bus=ports.0,nr=0,chardev=console");
        }

        for (index, card) in self.cards.iter().enumerate() {
            let name = card_name(index);
            let queues = card.queues;
            line.option(
                "-device",
                format!(
                    "pcie-root-port,id={name}-port,chassis={},slot={}",
                    index + 1,
                    index + 1
                ),
            );
            line.path_option(
                "-chardev",
                &format!("socket,id={name}-socket,path="),
                &card.socket,
                "",
            );
            line.option(
                "-device",
                format!(
                    "{DEVICE},id={name},bus={name}-port,chardev={name}-socket,virtio-id={VIRTIO_ID},\
                     num_vqs={queues},vq_size={QUEUE_ENTRIES},config_size={CONFIG_BYTES}"
                ),
            );
        }

        line.words.push("-kernel".into());
        line.words.push(self.kernel.clone().into());
        line.words.push("-initrd".into());
        line.words.push(self.initramfs.clone().into());
        line.option("-append", self.kernel_command_line());
        line.words.extend(self.additional.iter().cloned());
        line.words
    }

    fn kernel_command_line(&self) -> String {
        // The whole log goes to the serial file. Panic on an oops: a guest
        // whose kernel is damaged must not go on and pass a test.
        let mut words = vec![
            "console=ttyS0",
            "ignore_loglevel",
            "oops=panic",
            "panic=0",
            "random.trust_cpu=on",
        ];
        if self.accelerator == Accelerator::Tcg {
            // On a busy host the timer's interrupts come too late for the kernel's check,
            // which panics then. Under KVM Linux leaves the check out by itself.
            words.push("no_timer_check");
            // There a processor of the guest may also not run for half a minute. Its
            // watchdogs ought to find the driver's mistakes, not the host's load.
            words.push("watchdog_thresh=60");
            words.push("rcupdate.rcu_cpu_stall_timeout=120");
        }
        words.extend(self.kernel_arguments.iter().map(String::as_str));
        words.join(" ")
    }
}

/// A command line in the making.
#[derive(Default)]
struct Line {
    words: Vec<OsString>,
}

impl Line {
    fn flag(&mut self, name: &str) {
        self.words.push(name.into());
    }

    fn option(&mut self, name: &str, value: impl Into<OsString>) {
        self.words.push(name.into());
        self.words.push(value.into());
    }

    /// An option whose value holds a path, in which QEMU wants every comma
    /// doubled.
    fn path_option(&mut self, name: &str, before: &str, path: &std::path::Path, after: &str) {
        let path = path.to_string_lossy().replace(',', ",,");
        self.option(name, format!("{before}{path}{after}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration() -> Configuration {
        Configuration {
            accelerator: Accelerator::Tcg,
            memory_mib: 512,
            processors: 2,
            kernel: "/k".into(),
            initramfs: "/i".into(),
            kernel_arguments: vec!["augur.test".into()],
            cards: vec![
                Card {
                    socket: "/s/a,b".into(),
                    queues: 4,
                },
                Card {
                    socket: "/s/c".into(),
                    queues: 6,
                },
            ],
            console: Console::None,
            additional: vec!["-S".into()],
        }
    }

    fn words() -> Vec<String> {
        let endpoints = Endpoints {
            qmp: "/q".into(),
            agent: "/a".into(),
            serial_log: "/l".into(),
        };
        configuration()
            .arguments(&endpoints)
            .into_iter()
            .map(|word| word.into_string().unwrap())
            .collect()
    }

    #[test]
    fn every_card_has_a_root_port_and_a_socket_of_its_own() {
        let words = words();
        for (port, device) in [
            (
                "pcie-root-port,id=card0-port,chassis=1,slot=1",
                "bus=card0-port,chardev=card0-socket",
            ),
            (
                "pcie-root-port,id=card1-port,chassis=2,slot=2",
                "bus=card1-port,chardev=card1-socket",
            ),
        ] {
            assert!(words.iter().any(|word| word == port), "{words:?}");
            assert!(words.iter().any(|word| word.contains(device)), "{words:?}");
        }
        assert!(
            words
                .iter()
                .any(|word| word.contains("num_vqs=6,vq_size=256,config_size=256"))
        );
    }

    #[test]
    fn commas_in_paths_do_not_end_an_option() {
        assert!(words().contains(&"socket,id=card0-socket,path=/s/a,,b".to_owned()));
    }

    #[test]
    fn guest_memory_is_shared_and_of_the_size_the_machine_has() {
        let words = words();
        assert!(words.contains(&"memory-backend-memfd,id=memory,size=512M,share=on".to_owned()));
        assert!(words.windows(2).any(|pair| pair == ["-m", "512M"]));
    }
}
