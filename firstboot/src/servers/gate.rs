//! Whether keepalived may start: the decision alone.
//!
//! VRRP is unicast here. A server that some other does not know gets no adverts from that one, and
//! would take the shared address while the other has it.

use std::time::Duration;

use crate::finding::Condition;

/// So long a server that reaches too few others stays without the address: a switch may take half
/// a minute to pass on what a port sends that has just come up (IEEE 802.1D, two forward delays).
const ALONE: Duration = Duration::from_secs(40);
/// How often a server is silent before it counts as off.
const ROUNDS: u32 = 2;

/// How another server stands to this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It sends its adverts here.
    TookUsIn,
    /// It answers, and does not yet, or will not.
    NotYet(String),
    /// It has a certificate of another cluster, or does not take ours.
    Stranger(String),
    /// It does not answer.
    Silent {
        /// Whether the machine is on the network all the same.
        there: bool,
        /// Whether it took us in before.
        before: bool,
        /// What became of asking it.
        why: String,
    },
}

/// Who has the shared address, as far as ARP tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// Nobody answers for it.
    Nobody,
    /// A server of ours.
    Server(String),
    /// Another machine, by its hardware address.
    Unknown(String),
}

/// What is known when it is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlook {
    /// Every other server.
    pub others: Vec<(String, Standing)>,
    /// Who has the address now.
    pub holder: Holder,
    /// How often the others were asked.
    pub rounds: u32,
    /// For how long, since this server has had its own address.
    pub waited: Duration,
}

/// Whether keepalived may start; why not.
///
/// # Errors
/// What is waited for.
pub fn admit(outlook: &Outlook) -> Result<(), Condition> {
    let (mut off, mut strangers) = (Vec::new(), Vec::new());
    for (name, standing) in &outlook.others {
        match standing {
            Standing::TookUsIn | Standing::Silent { before: true, .. } => {}
            Standing::NotYet(why) => {
                let what = format!("{name} does not know this server yet: {why}");
                return Err(Condition::new(
                    what,
                    "it is asked again; see journalctl -u bake-servers there",
                ));
            }
            Standing::Silent { there: true, why, .. } => {
                let what =
                    format!("{name} is on the network, but its witness does not answer: {why}");
                return Err(Condition::new(what, "see journalctl -u bake-witness there"));
            }
            Standing::Silent { .. } => off.push(name.as_str()),
            Standing::Stranger(why) => {
                off.push(name.as_str());
                strangers.push((name, why));
            }
        }
    }
    if let Holder::Unknown(hardware) = &outlook.holder {
        return Err(Condition::new(
            format!(
                "the shared address is used by another machine ({hardware}), no server known here"
            ),
            "waiting for it to introduce itself; if it is none of ours, give it another address",
        ));
    }
    if let (false, Holder::Server(name)) = (off.is_empty(), &outlook.holder)
        && off.contains(&name.as_str())
    {
        if let Some((name, why)) = strangers.iter().find(|(stranger, _)| *stranger == name) {
            return Err(foreign(name, why));
        }
        let what = format!("{name} has the shared address and does not answer");
        return Err(Condition::new(what, "see journalctl -u bake-witness there"));
    }
    if off.is_empty() {
        return Ok(());
    }
    let (all, here) = (outlook.others.len() + 1, outlook.others.len() + 1 - off.len());
    // Among strangers, whoever is fewer does not take the address however long it waits.
    let enough = here > all / 2 || (outlook.waited >= ALONE && strangers.is_empty());
    if outlook.rounds >= ROUNDS && enough {
        return Ok(());
    }
    if let Some((name, why)) = strangers.first() {
        return Err(foreign(name, why));
    }
    let (what, are) = (off.join(", "), if off.len() == 1 { "does" } else { "do" });
    Err(Condition::new(
        format!("{what} {are} not answer yet; {here} of {all} servers are here"),
        format!("they are waited for, {} s at most", ALONE.as_secs()),
    ))
}

fn foreign(name: &str, why: &str) -> Condition {
    Condition::new(
        format!("{name} is not of this cluster: {why}"),
        "one of the two cards was baked with other secrets: bake and flash it again",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFF: Standing = Standing::Silent { there: false, before: false, why: String::new() };

    fn outlook(others: &[Standing], holder: Holder, rounds: u32, waited: u64) -> Outlook {
        let names = ["a", "b", "c"].map(str::to_owned);
        let others = names.into_iter().zip(others.iter().cloned()).collect();
        Outlook { others, holder, rounds, waited: Duration::from_secs(waited) }
    }

    fn says(outlook: &Outlook, part: &str) {
        let condition = admit(outlook).unwrap_err();
        assert!(condition.what.contains(part), "{condition:?}");
    }

    #[test]
    fn all_that_answer_must_know_it() {
        use Standing::{NotYet, TookUsIn};
        let all = [TookUsIn, TookUsIn, TookUsIn];
        admit(&outlook(&all, Holder::Nobody, 1, 0)).unwrap();
        admit(&outlook(&all, Holder::Server("a".into()), 1, 0)).unwrap();
        let late = [TookUsIn, TookUsIn, NotYet("keepalived is starting".into())];
        says(&outlook(&late, Holder::Nobody, 999, 9999), "c does not know this server yet: keepal");
    }

    #[test]
    fn one_that_is_off_holds_up_nobody_for_long() {
        use Standing::TookUsIn;
        let most = [TookUsIn, TookUsIn, OFF];
        says(&outlook(&most, Holder::Nobody, 1, 0), "c does not answer yet; 3 of 4");
        admit(&outlook(&most, Holder::Nobody, 2, 3)).unwrap();
        let few = [TookUsIn, OFF, OFF];
        says(&outlook(&few, Holder::Nobody, 9, 39), "b, c do not answer yet; 2 of 4");
        admit(&outlook(&few, Holder::Nobody, 9, 40)).unwrap();
    }

    #[test]
    fn a_stranger_holds_up_the_fewer_only() {
        use Standing::{Stranger, TookUsIn};
        let strange = || Stranger("UnknownIssuer".into());
        admit(&outlook(&[TookUsIn, TookUsIn, strange()], Holder::Nobody, 2, 0)).unwrap();
        let alone = [strange(), strange()];
        says(&outlook(&alone, Holder::Nobody, 99, 9999), "a is not of this cluster: UnknownIssuer");
        says(&outlook(&[strange(), OFF], Holder::Nobody, 99, 9999), "a is not of this cluster");
        let held = Holder::Server("b".into());
        says(&outlook(&alone, held, 99, 9999), "b is not of this cluster: UnknownIssuer");
    }

    #[test]
    fn one_that_took_it_in_once_may_be_off_from_the_first_moment() {
        let known = Standing::Silent { there: false, before: true, why: String::new() };
        let there = Standing::Silent { there: true, before: true, why: String::new() };
        let all = [known.clone(), there, known];
        admit(&outlook(&all, Holder::Nobody, 1, 0)).unwrap();
    }

    #[test]
    fn a_machine_that_is_there_may_have_the_address_or_take_it() {
        use Standing::TookUsIn;
        let there = Standing::Silent { there: true, before: false, why: "refused".into() };
        let others = [TookUsIn, TookUsIn, there];
        says(&outlook(&others, Holder::Nobody, 999, 9999), "c is on the network");
    }

    #[test]
    fn a_holder_nobody_knows_is_waited_for() {
        use Standing::TookUsIn;
        let unknown = Holder::Unknown("02:00:00:00:00:09".into());
        for others in [[TookUsIn, TookUsIn, TookUsIn], [TookUsIn, TookUsIn, OFF]] {
            says(&outlook(&others, unknown.clone(), 999, 9999), "02:00:00:00:00:09");
        }
        let others = [TookUsIn, TookUsIn, OFF];
        says(&outlook(&others, Holder::Server("c".into()), 999, 9999), "c has the shared address");
        admit(&outlook(&others, Holder::Server("b".into()), 2, 0)).unwrap();
    }
}
