//! `bake flash`: write cards.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Mutex;

use super::materials::Materials;
use super::{Session, cluster};
use crate::device::{self, Device, Platform, Reason};
use crate::error::{Error, Result};
use crate::io::digest::Sha256;
use crate::job::build::Workshop;
use crate::job::flash::{
    self, Flasher, FromImage, FromProfile, Held, Ledger, Options, Order, Origin, Outcome, Places,
    Supply,
};
use crate::profile::{Profile, Search};
use crate::ui::Table;
use crate::units::human;

const EXAMPLES: &str = "\
Examples:
  bake flash --profile master3 --node node1 --device /dev/sdb
  bake flash --profile master3 --watch       every card that is inserted becomes the next node
  bake flash node1.img.xz --device /dev/sdb
  bake flash bake-master3-server-arm64.img.xz --profile master3 --node node1 --device /dev/sdb
  bake flash --list                          which devices are cards, and why others are not";

/// What an image file has already.
const GIVEN: [&str; 9] = [
    "base",
    "k3s",
    "airgap_images",
    "metallb_manifest",
    "firstboot",
    "packages",
    "locked",
    "no_lock",
    "no_sbom",
];

/// Write nodes, or an image file, to cards.
///
/// Only whole, removable devices that nothing uses are written. Everything written is read back
/// past every cache; the partition table comes last, so that an unfinished card boots nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Image file to write, compressed or not; with `--profile` a release image, which becomes the
    /// profile's nodes on its way
    #[arg(value_name = "IMAGE", conflicts_with_all = GIVEN)]
    image: Option<PathBuf>,
    /// Profile whose nodes are written: a name, or a path to a YAML file
    #[arg(long, value_name = "NAME|FILE")]
    profile: Option<String>,
    /// Node to write
    #[arg(long, value_name = "NAME", conflicts_with = "nodes", requires = "profile")]
    node: Option<String>,
    /// Nodes to write, to the devices in their order [default: those without a card yet]
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', requires = "profile")]
    nodes: Vec<String>,
    /// Device to write, such as /dev/sdb (repeatable); with --watch, where to wait for cards
    #[arg(long, value_name = "DEVICE", conflicts_with = "all_removable")]
    device: Vec<PathBuf>,
    /// Write every card there is
    #[arg(long)]
    all_removable: bool,
    /// Wait for cards to be inserted, until every node has one
    #[arg(long, requires = "profile")]
    watch: bool,
    /// Show the devices there are, and write nothing
    #[arg(long, conflicts_with_all = ["device", "all_removable", "watch", "image", "profile"])]
    list: bool,
    /// Do not ask before a device is overwritten
    #[arg(long, short)]
    yes: bool,
    /// Find cards that claim more than they hold, before writing them
    #[arg(long)]
    check_capacity: bool,
    /// SHA-256 that the image file must have
    #[arg(long, value_name = "DIGEST", requires = "image", value_parser = str::parse::<Sha256>)]
    sha256: Option<Sha256>,
    /// Delta of a node, where the image is the golden one it was made for
    #[arg(long, value_name = "FILE", requires = "image", conflicts_with = "profile")]
    delta: Option<PathBuf>,
    /// Treat loop devices as cards, for trying things out
    #[arg(long)]
    allow_loop: bool,
    #[command(flatten)]
    materials: Materials,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<()> {
    let platform = device::host();
    if args.list {
        return list(args, platform.as_ref(), session);
    }
    match (&args.image, &args.profile) {
        (_, Some(profile)) => from_profile(profile, args, platform.as_ref(), session),
        (Some(image), None) => from_image(image, args, platform.as_ref(), session),
        (None, None) => {
            Err(Error::Usage("what is to be written: an image, or `--profile`?".into())
                .hint("`bake flash --list` shows the devices there are"))
        }
    }
}

fn from_image(
    image: &std::path::Path,
    args: &Args,
    platform: &dyn Platform,
    session: &Session,
) -> Result<()> {
    let fetcher = session.fetcher()?;
    let (sha256, delta) = (args.sha256, args.delta.as_deref());
    let (secrets, keys) = (args.materials.secrets.as_deref(), session.keys());
    let from = Origin { sha256, delta, secrets, keys: Some(&keys) };
    // A wrong device is said before anything is unpacked.
    let devices = chosen(args, platform)?;
    let supply = FromImage::open(image, &from, &fetcher, &session.cancel)?;
    let flasher = flasher(args, platform, &supply, supply.ledger(), session);
    let node = supply.node().map(str::to_owned);
    let order = |device| Order { device, node: node.clone() };
    let orders: Vec<Order> = devices.into_iter().map(order).collect();
    confirm(&orders, args, session)?;
    flash::conclude(flasher.all(orders, &|outcome| tell(outcome, session)))
}

fn from_profile(
    reference: &str,
    args: &Args,
    platform: &dyn Platform,
    session: &Session,
) -> Result<()> {
    let source = Search::usual().find(reference)?;
    let profile = Profile::read(&source, &args.materials.set)?;
    profile.warnings().iter().for_each(|fault| cluster::warn(session, fault));
    let mut wanted = args.nodes.clone();
    wanted.extend(args.node.clone());
    for node in &wanted {
        profile.select(Some(node), None)?;
    }
    let devices = if args.watch { Vec::new() } else { chosen(args, platform)? };
    let path = profile.secrets_path(args.materials.secrets.as_deref());
    let mut secrets = cluster::open_secrets(&profile, &path, session)?;
    let ledger = Ledger::beside(&path, &secrets.secrets().id)?;
    let named = !wanted.is_empty();
    if !named {
        wanted = ledger.without_card(profile.nodes())?;
    }
    if wanted.is_empty() {
        let error =
            format!("every node of {} has its card ({})", profile.name(), ledger.path().display());
        return Err(Error::Usage(error).hint("name a node with `--node` to make it another one"));
    }
    if !args.watch && devices.len() > wanted.len() {
        let (cards, nodes) = (devices.len(), wanted.len());
        return Err(Error::Usage(format!(
            "{cards} devices for {nodes} nodes: {}",
            wanted.join(", ")
        )));
    }
    let of_use = if args.watch { wanted.len() } else { devices.len() };
    let nodes: BTreeSet<&str> = wanted.iter().take(of_use).map(String::as_str).collect();
    let _held = Held::take(&ledger, &nodes)?;
    if !named && ledger.without_card(profile.nodes())? != wanted {
        let action = format!("make cards of {}", profile.name());
        let reason = "another `bake flash` has just made one of them".into();
        return Err(Error::Refused { action, reason }.hint("run it again for those that are left"));
    }
    let plan = |node: &&str| args.materials.plan(&profile, node, secrets.secrets());
    let plans = nodes.iter().map(plan).collect::<Result<Vec<_>>>()?;
    let orders: Vec<Order> = devices
        .iter()
        .zip(&wanted)
        .map(|(device, node)| Order { device: device.clone(), node: Some(node.clone()) })
        .collect();
    if !args.watch {
        confirm(&orders, args, session)?;
    }
    let fetcher = session.fetcher()?;
    let sources = args.materials.sources(&source);
    let workshop = match &args.image {
        Some(image) => Workshop::released(image, args.sha256, &plans, &sources, &fetcher)?,
        None => Workshop::open(&plans, &sources, &fetcher, &session.ui)?,
    };
    let claims = Mutex::new((&mut secrets, BTreeSet::new()));
    let supply = FromProfile { workshop: &workshop, plans: &plans, claims, ledger: &ledger };
    let flasher = flasher(args, platform, &supply, Some(&ledger), session);
    let done = |outcome: &Outcome| tell(outcome, session);
    if args.watch {
        let may = |order: &Order| may(std::slice::from_ref(order), args, session);
        let only: Result<Vec<PathBuf>> =
            args.device.iter().map(|path| Ok(platform.look(path)?.path)).collect();
        let places = Places { only: only?, present: args.all_removable || !args.device.is_empty() };
        return flash::conclude(flash::watch(&flasher, &wanted, &places, &may, &done)?);
    }
    flash::conclude(flasher.all(orders, &done))
}

fn flasher<'a>(
    args: &Args,
    platform: &'a dyn Platform,
    supply: &'a dyn Supply,
    ledger: Option<&'a Ledger>,
    session: &'a Session,
) -> Flasher<'a> {
    let options = Options { loops: args.allow_loop, check_capacity: args.check_capacity };
    Flasher { platform, supply, ledger, options, sink: &session.ui, cancel: &session.cancel }
}

/// The devices that the user means.
fn chosen(args: &Args, platform: &dyn Platform) -> Result<Vec<Device>> {
    if args.all_removable {
        let all = flash::removable(platform, args.allow_loop)?;
        if all.is_empty() {
            let name = "removable, and not in use".into();
            return Err(Error::NotFound { what: "card", name }
                .hint("`bake flash --list` shows what there is, and why it is not written"));
        }
        return Ok(all);
    }
    if args.device.is_empty() {
        return Err(Error::Usage(
            "which device? `--device`, `--all-removable` or `--watch`".into(),
        )
        .hint("`bake flash --list` shows the devices there are"));
    }
    flash::look(platform, &args.device, args.allow_loop)
}

/// Refuses unless the user, who sees name and size of everything that will be lost, agrees.
fn confirm(orders: &[Order], args: &Args, session: &Session) -> Result<()> {
    if may(orders, args, session)? {
        return Ok(());
    }
    let action = "overwrite anything".into();
    Err(Error::Refused { action, reason: "you did not say yes".into() })
}

fn may(orders: &[Order], args: &Args, session: &Session) -> Result<bool> {
    if args.yes {
        return Ok(true);
    }
    let lines: Vec<String> = orders
        .iter()
        .map(|order| match &order.node {
            Some(node) => format!("  {} becomes {node}", order.device),
            None => format!("  {}", order.device),
        })
        .collect();
    if session.ui.json() || !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        let action = format!("overwrite\n{}", lines.join("\n"));
        let reason = "nobody is there to ask".into();
        return Err(Error::Refused { action, reason }.hint("`--yes` says that it is right"));
    }
    session.ui.confirm(&format!("All data on this is lost:\n{}\nGo on?", lines.join("\n")))
}

/// One line for each card; with `--json` an object.
fn tell(outcome: &Outcome, session: &Session) {
    // A reader that went away must not stop the other cards.
    if session.ui.json() {
        drop(session.ui.json_line(outcome));
    } else {
        drop(session.ui.line(outcome.line()));
    }
}

fn list(args: &Args, platform: &dyn Platform, session: &Session) -> Result<()> {
    let demand = device::Demand { bytes: 0, loops: args.allow_loop };
    let mut table = Table::new(&["DEVICE", "SIZE", "BUS", "MODEL", "CARD", "USABLE"]);
    for seen in platform.list()? {
        let judged = device::judge(seen.clone(), demand);
        let why = judged.as_ref().err().map(|refusal| refusal.to_string());
        if session.ui.json() {
            session.ui.json_line(&serde_json::json!({
                "device": seen.path, "size": seen.size, "bus": seen.bus.to_string(),
                "card": seen.identity, "usable": judged.is_ok(), "reason": why,
            }))?;
            continue;
        }
        // Unused loop devices and the like interest nobody.
        let empty = judged.is_err_and(|r| r.reasons.contains(&Reason::Empty));
        if empty && seen.bus == device::Bus::Loop {
            continue;
        }
        let usable = why.unwrap_or_else(|| "yes".into());
        table.row([
            seen.path.display().to_string(),
            human(seen.size),
            seen.bus.to_string(),
            seen.identity.model.clone(),
            seen.identity.unique().unwrap_or_default().to_owned(),
            usable,
        ]);
    }
    if session.ui.json() { Ok(()) } else { session.ui.text(table.render()) }
}
