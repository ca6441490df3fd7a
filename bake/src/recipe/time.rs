//! Time zone, and a clock that never starts in the past: the boards have none of their own.

use super::amend::Amendment;
use super::edit::{Access, Action, Topic};
use super::steps::Steps;
use super::traits::Traits;
use crate::error::{Error, Result};
use crate::profile::NodePlan;

/// How long K3s waits at most for a time server after power-on, in seconds.
const TIME_WAIT: u32 = 60;

pub(super) fn edits(traits: &Traits, plan: &NodePlan, time: i64, steps: &mut Steps) -> Result<()> {
    steps.about(Topic::Time).shared();
    zone(traits, &plan.system.timezone, steps);
    if traits.timesyncd {
        // systemd-timesyncd(8): the clock starts at this file's time of modification at least.
        let owner = traits.accounts.users.get("systemd-timesync");
        let (uid, gid) = owner.map_or((0, 0), |a| (a.uid, a.gid));
        steps.push(Action::Stamp {
            path: "/var/lib/systemd/timesync/clock".into(),
            access: Access { mode: 0o644, uid, gid },
            seconds: time,
        });
    }
    if traits.fake_hwclock {
        steps.write("/etc/fake-hwclock.data", 0o644, hwclock(time)?);
    }
    if traits.time_wait_sync {
        const UNIT: &str = "systemd-time-wait-sync.service";
        steps.enable("sysinit.target", UNIT, format!("{}/{UNIT}", traits.unit_dir));
        // Without a time server it would wait forever; and a time-out of systemd's own would leave
        // a failed unit on every board without one.
        let program = traits.unit_dir.trim_end_matches("/system");
        let bound = format!(
            "[Service]\nExecStart=\n\
             ExecStart=-/usr/bin/timeout {TIME_WAIT} {program}/systemd-time-wait-sync\n"
        );
        steps.write(format!("/etc/systemd/system/{UNIT}.d/bake.conf"), 0o644, bound);
    }
    if let Some(locale) = &plan.system.locale {
        let lang = Amendment::Setting { key: "LANG".into(), value: locale.clone() };
        steps.amend_or_make("/etc/default/locale", 0o644, lang);
    }
    Ok(())
}

fn zone(traits: &Traits, zone: &str, steps: &mut Steps) {
    if !traits.zoneinfo && zone == "UTC" {
        return;
    }
    let file = format!("/usr/share/zoneinfo/{zone}");
    steps.push(Action::Require {
        path: file.clone(),
        otherwise: format!("system.timezone is `{zone}`, which the image does not know"),
    });
    steps.link("/etc/localtime", file);
    if traits.etc_timezone {
        steps.write("/etc/timezone", 0o644, format!("{zone}\n"));
    }
}

/// fake-hwclock(8): one line, UTC.
fn hwclock(time: i64) -> Result<String> {
    let time = jiff::Timestamp::from_second(time)
        .map_err(|e| Error::Usage(format!("{time} is no time of a bake: {e}")))?;
    Ok(format!("{}\n", time.strftime("%Y-%m-%d %H:%M:%S")))
}
