//! The figures, and whether they are good enough.

#![expect(clippy::cast_precision_loss, reason = "counts and sizes here are far below 2^52")]

use std::time::Duration;

use super::measure::{Idle, Round};

/// At most so many times nginx's CPU time for a call.
pub(crate) const MOST_CPU: f64 = 1.3;

/// At most so many bytes for an idle connection.
pub(crate) const MOST_IDLE: u64 = 25 << 10;

/// All that was measured of one subject.
pub(crate) struct Figures {
    pub(crate) name: &'static str,
    pub(crate) calls: Vec<Round>,
    pub(crate) downloads: Vec<Round>,
    pub(crate) idle: Idle,
}

impl Figures {
    fn errors(&self) -> usize {
        self.calls.iter().chain(&self.downloads).map(|round| round.errors).sum()
    }

    fn percentile(&self, share: f64) -> f64 {
        let mut all: Vec<_> = self.calls.iter().flat_map(|round| &round.latencies).map(Duration::as_secs_f64).collect();
        all.sort_unstable_by(f64::total_cmp);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1 times a length")]
        let place = ((all.len() as f64 * share) as usize).min(all.len().saturating_sub(1));
        all.get(place).copied().unwrap_or(f64::NAN) * 1e3
    }
}

/// Prints the figures of all subjects side by side.
pub(crate) fn table(all: &[Figures]) {
    let row = |label: &str, figure: &dyn Fn(&Figures) -> String| {
        print!("{label:<34}");
        for figures in all {
            print!("{:>22}", figure(figures));
        }
        println!();
    };
    row("", &|figures| figures.name.to_owned());
    let calls = |of: fn(&Round) -> f64| move |figures: &Figures| format!("{:.1}", median(figures.calls.iter().map(of)));
    row("CPU per call, µs", &calls(cpu_per_call));
    row("  of that in the kernel, µs", &calls(|round| per_call(round.cpu.system, round)));
    row("calls per second", &calls(|round| round.calls as f64 / round.took.as_secs_f64()));
    for (label, share) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0)] {
        row(&format!("latency {label}, ms"), &|figures| format!("{:.2}", figures.percentile(share)));
    }
    row("memory under load, MiB", &calls(|round| mebibytes(round.memory as f64)));
    let downloads =
        |of: fn(&Round) -> f64| move |figures: &Figures| format!("{:.0}", median(figures.downloads.iter().map(of)));
    row(
        "8 MiB downloads: MiB per second",
        &downloads(|round| mebibytes(round.bytes as f64) / round.took.as_secs_f64()),
    );
    row("  CPU per MiB, µs", &downloads(cpu_per_mebibyte));
    row("  memory, MiB", &downloads(|round| mebibytes(round.memory as f64)));
    row("idle connection, KiB", &|figures| kibibytes(figures.idle.each));
    row("  with those to the cloud, KiB", &|figures| kibibytes(figures.idle.each_with_cloud));
    row("  client connections / to the cloud", &|figures| {
        format!("{} / {}", figures.idle.connections, figures.idle.to_cloud)
    });
    row("errors", &|figures| figures.errors().to_string());
}

/// CPU per call and per MiB of `one` against `other`, round by round: the median, and the range.
pub(crate) fn comparison(one: &Figures, other: &Figures) -> String {
    let calls = ratios(&one.calls, &other.calls, cpu_per_call);
    let downloads = ratios(&one.downloads, &other.downloads, cpu_per_mebibyte);
    format!("CPU, {} / {}: {} a call, {} a MiB", one.name, other.name, spread(&calls), spread(&downloads))
}

/// What the gateway is held to.
pub(crate) struct Mark {
    pub(crate) met: bool,
    pub(crate) finding: String,
}

/// How the gateway does, with `peer` as the measure of CPU time.
pub(crate) fn marks(gateway: &Figures, peer: &Figures) -> [Mark; 3] {
    let cpu = median(ratios(&gateway.calls, &peer.calls, cpu_per_call));
    let (idle, most_idle) = (kibibytes(gateway.idle.each), kibibytes(MOST_IDLE));
    [
        Mark {
            met: cpu <= MOST_CPU,
            finding: format!("a call takes {cpu:.2} times the CPU of {}; allowed: {MOST_CPU}", peer.name),
        },
        Mark {
            met: gateway.idle.each <= MOST_IDLE,
            finding: format!("an idle connection takes {idle} KiB; allowed: {most_idle}"),
        },
        Mark {
            met: gateway.errors() + peer.errors() == 0,
            finding: format!("failed calls: {}, and {} of {}", gateway.errors(), peer.errors(), peer.name),
        },
    ]
}

fn cpu_per_call(round: &Round) -> f64 {
    per_call(round.cpu.total(), round)
}

fn per_call(cpu: Duration, round: &Round) -> f64 {
    cpu.as_secs_f64() * 1e6 / round.calls as f64
}

fn cpu_per_mebibyte(round: &Round) -> f64 {
    round.cpu.total().as_secs_f64() * 1e6 / mebibytes(round.bytes as f64)
}

fn ratios(one: &[Round], other: &[Round], figure: fn(&Round) -> f64) -> Vec<f64> {
    one.iter().zip(other).map(|(one, other)| figure(one) / figure(other)).collect()
}

fn spread(ratios: &[f64]) -> String {
    let (least, most) =
        (ratios.iter().copied().fold(f64::NAN, f64::min), ratios.iter().copied().fold(f64::NAN, f64::max));
    format!("{:.2} ({least:.2} to {most:.2})", median(ratios.iter().copied()))
}

fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_unstable_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

fn mebibytes(bytes: f64) -> f64 {
    bytes / f64::from(1 << 20)
}

fn kibibytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1024.0)
}
