/// The rules one can leave out to see what they are for. Devices run [`Rules::ALL`]; only the model
/// checker inside this crate can make another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    /// A card that was made anew does not count its own vote.
    pub own_vote_needs_first_card: bool,
    /// An accepted ballot binds those who learn of it.
    pub accepted_binds: bool,
    /// Servers of another profile take no part.
    pub electorate_compared: bool,
    /// A promise or vote counts for the card that was asked only.
    pub cards_compared: bool,
    /// Nobody founds where somebody has data.
    pub data_asked: bool,
    /// Nobody founds where somebody was told that the cluster stands.
    pub formed_asked: bool,
    /// Holding the VIP means nothing.
    pub vip_ignored: bool,
    /// One server joins at a time.
    pub joins_serialised: bool,
}

impl Rules {
    pub(crate) const ALL: Self = Self {
        own_vote_needs_first_card: true,
        accepted_binds: true,
        electorate_compared: true,
        cards_compared: true,
        data_asked: true,
        formed_asked: true,
        vip_ignored: true,
        joins_serialised: true,
    };
}
