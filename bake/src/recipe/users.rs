//! Accounts, keys and sudo, without the wizard of the first boot.

use super::amend::{Amendment, Group, Passwd, Shadow};
use super::edit::{Access, Source, Topic};
use super::steps::Steps;
use super::traits::{Account, Traits};
use super::{cloud_init, imager};
use crate::error::{Error, Result};
use crate::profile::{NodePlan, UserPlan};

/// Groups of Raspberry Pi OS's first user, as far as the image has them.
const ADMIN_GROUPS: [&str; 16] = [
    "adm",
    "dialout",
    "cdrom",
    "sudo",
    "audio",
    "video",
    "plugdev",
    "games",
    "users",
    "input",
    "render",
    "netdev",
    "gpio",
    "i2c",
    "spi",
    "systemd-journal",
];

pub(super) fn edits(traits: &Traits, plan: &NodePlan, time: i64, steps: &mut Steps) -> Result<()> {
    steps.about(Topic::Users);
    let users = &plan.system.users;
    let mut taken = Vec::new();
    for user in users.iter().filter(|user| !cloud_init::makes(plan, user)) {
        let (account, new) = account(traits, user, &mut taken)?;
        register(traits, user, &account, new, time, steps);
        if new {
            home(traits, &account, steps);
        }
        if !user.ssh_keys.is_empty() {
            keys(user, &account, steps);
        }
    }
    sudo(traits, plan, steps);
    if imager::wizard_is_needed(traits, plan) {
        // It makes the user that the boot partition names.
    } else if users.is_empty() {
        steps.warn("the profile names no users: nobody may be able to log in to the node");
    } else {
        lock_others(traits, users, steps);
    }
    if traits.user_wizard && !imager::wizard_is_needed(traits, plan) {
        no_wizard(traits, steps);
    }
    ssh(traits, plan, steps);
    Ok(())
}

/// The account as the image has it, or as it will be made.
fn account(traits: &Traits, user: &UserPlan, taken: &mut Vec<u32>) -> Result<(Account, bool)> {
    if let Some(account) = traits.accounts.users.get(&user.name) {
        if account.uid == 0 || account.uid >= 1000 {
            return Ok((account.clone(), false));
        }
        return Err(Error::Usage(format!(
            "user {} of the profile is a system account of the image ({})",
            user.name, account.uid
        )));
    }
    if let Some(gid) = traits.accounts.groups.get(&user.name) {
        return Err(Error::Usage(format!(
            "user {} of the profile has the name of a group of the image ({gid})",
            user.name
        )));
    }
    let id = traits.accounts.free_id(taken).ok_or_else(|| {
        Error::Usage(format!("no free user id from 1000 to 59999 for user {}", user.name))
    })?;
    taken.push(id);
    Ok((Account { uid: id, gid: id, home: format!("/home/{}", user.name) }, true))
}

fn register(
    traits: &Traits,
    user: &UserPlan,
    account: &Account,
    new: bool,
    time: i64,
    steps: &mut Steps,
) {
    let name = user.name.clone();
    let passwd = Passwd {
        name: name.clone(),
        uid: account.uid,
        gid: account.gid,
        home: account.home.clone(),
        shell: user.shell.clone(),
    };
    steps.amend("/etc/passwd", Amendment::Passwd(passwd));
    // `*` is no hash: no password is right, and keys still work (sshd refuses `!` without PAM).
    let hash = user.password_hash.as_ref().map_or("*", |hash| hash.expose()).to_owned();
    let shadow = Shadow { name: name.clone(), hash, changed: time / 86400 };
    steps.amend_secret("/etc/shadow", Amendment::Shadow(shadow));
    if new {
        let group = Group { name: name.clone(), gid: Some(account.gid), member: None };
        steps.amend("/etc/group", Amendment::Group(group.clone()));
        steps.amend_secret("/etc/gshadow", Amendment::Gshadow(group));
    }
    for group in groups(traits, user) {
        let joins = Group { name: group.into(), gid: None, member: Some(name.clone()) };
        steps.amend("/etc/group", Amendment::Group(joins.clone()));
        steps.amend_secret("/etc/gshadow", Amendment::Gshadow(joins));
    }
}

/// The image's groups that a user is in, besides its own.
pub(super) fn groups(traits: &Traits, user: &UserPlan) -> Vec<&'static str> {
    let groups = if user.sudo { &ADMIN_GROUPS[..] } else { &["users"] };
    let known = |group: &&&str| traits.accounts.groups.contains_key(**group);
    groups.iter().filter(known).copied().collect()
}

fn own(account: &Account, mode: u16) -> Access {
    Access { mode, uid: account.uid, gid: account.gid }
}

fn home(traits: &Traits, account: &Account, steps: &mut Steps) {
    steps.directory(&account.home, own(account, 0o700));
    for (name, (content, mode)) in &traits.skeleton {
        let path = format!("{}/{name}", account.home);
        steps.put(path, own(account, *mode), Source::Bytes(content.clone()));
    }
}

fn keys(user: &UserPlan, account: &Account, steps: &mut Steps) {
    let dir = format!("{}/.ssh", account.home);
    let lines: String = user.ssh_keys.iter().map(|key| format!("{key}\n")).collect();
    steps.directory(&dir, own(account, 0o700));
    steps.put(format!("{dir}/authorized_keys"), own(account, 0o600), Source::Bytes(lines.into()));
}

/// sudoers(5): a file whose name has a `.` or ends in `~` is ignored, so the users share one.
fn sudo(traits: &Traits, plan: &NodePlan, steps: &mut Steps) {
    let users = plan.system.users.iter();
    let lines: String = users
        .filter(|user| user.sudo && !cloud_init::makes(plan, user))
        .map(|user| format!("{} ALL=(ALL:ALL) NOPASSWD: ALL\n", user.name))
        .collect();
    if lines.is_empty() {
        return;
    }
    if traits.sudo {
        steps.write("/etc/sudoers.d/010_bake", 0o440, lines);
    } else {
        steps.warn("the image has no sudo: no user of the node can become root");
    }
}

/// People's accounts of the image with a password that everybody knows.
fn lock_others(traits: &Traits, users: &[UserPlan], steps: &mut Steps) {
    for name in &traits.accounts.with_password {
        let person = traits.accounts.users.get(name).is_some_and(|a| a.uid >= 1000);
        if person && !users.iter().any(|user| user.name == *name) {
            steps.amend_secret("/etc/shadow", Amendment::LockPassword(name.clone()));
            steps.note(format!("the image's user {name} can no longer log in with a password"));
        }
    }
}

/// What `cancel-rename` of userconf-pi does.
fn no_wizard(traits: &Traits, steps: &mut Steps) {
    steps.remove("/etc/systemd/system/multi-user.target.wants/userconfig.service");
    steps.mask("userconfig.service");
    steps.remove("/etc/ssh/sshd_config.d/rename_user.conf");
    let getty = format!("{}/getty@.service", traits.unit_dir);
    steps.enable("getty.target", "getty@tty1.service", getty);
}

fn ssh(traits: &Traits, plan: &NodePlan, steps: &mut Steps) {
    if !plan.system.ssh {
        return;
    }
    let Some(ssh) = traits.ssh else {
        steps.warn("the image has no sshd: nobody can log in over the network");
        return;
    };
    if !ssh.host_keys {
        steps.warn(
            "the image has no SSH host keys and nothing that makes them: sshd will not start",
        );
    }
    if !ssh.socket {
        let unit = format!("{}/ssh.service", traits.unit_dir);
        steps.enable("multi-user.target", "ssh.service", unit.clone());
        steps.link("/etc/systemd/system/sshd.service", unit);
    }
}
