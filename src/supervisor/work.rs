//! What a keeper works on, and the number by which the keeper and its record know it.

/// The work of a keeper. Only runs are in sight of users; the others have no place, no lock and no
/// output that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// An attempt of a run; runs count from 1.
    Run(i64),
    /// A hook or mail, whose notice has this id; these, too, count from 1.
    Notice(i64),
    /// The heartbeat's command.
    Heartbeat,
}

impl Work {
    /// The work that has a number.
    pub(super) const fn of(number: i64) -> Self {
        match number {
            0 => Self::Heartbeat,
            1.. => Self::Run(number),
            _ => Self::Notice(number.saturating_neg()),
        }
    }

    /// Its number.
    pub(super) const fn number(self) -> i64 {
        match self {
            Self::Run(id) => id,
            Self::Notice(id) => -id,
            Self::Heartbeat => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_that_of_one_kind_of_work() {
        for (number, work) in [(7, Work::Run(7)), (-7, Work::Notice(7)), (0, Work::Heartbeat)] {
            assert_eq!((Work::of(number), work.number()), (work, number));
        }
    }
}
