//! Progress of long work, on stderr, and only where somebody sees it.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Output, plain};

/// A bar, or a spinner while the amount is unknown. Invisible with `--json` and where stderr is no terminal.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Progress of `label` towards `total` steps; `None`: unknown.
    pub(crate) fn new(output: Output, label: &'static str, total: Option<u64>) -> Self {
        let visible = !output.is_json() && std::io::stderr().is_terminal();
        let target = if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(total, target);
        let template = match total {
            Some(_) => "{prefix} [{bar:30}] {human_pos}/{human_len} {per_sec} {eta} {wide_msg}",
            None => "{prefix} {spinner} {human_pos} {per_sec} {wide_msg}",
        };
        // A template that does not parse is a typing error; the plain bar will do.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(label);
        if visible {
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        Progress { bar }
    }

    /// So many steps more.
    pub(crate) fn advance(&self, steps: u64) {
        self.bar.inc(steps);
    }

    /// What is being worked on; control characters are replaced.
    pub(crate) fn tell(&self, message: &str) {
        self.bar.set_message(plain::line(message).into_owned());
    }
}

impl Drop for Progress {
    /// Takes the bar off the screen, after an error too.
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_drawn_for_programs() {
        for total in [None, Some(10)] {
            let progress = Progress::new(Output::new(true), "reading", total);
            assert!(progress.bar.is_hidden());
            progress.advance(3);
            progress.tell("a\u{1b}[2J.txt");
            assert_eq!((progress.bar.position(), progress.bar.message().as_str()), (3, "a\u{fffd}[2J.txt"));
        }
    }
}
