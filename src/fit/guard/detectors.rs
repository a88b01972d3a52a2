//! Detectors that have learned, and what was made of their scores: the guard before it is a bundle.

use ndarray::Array1;
use rand_chacha::ChaCha8Rng;

use super::attack_weights::{self, Group};
use super::columns::Table;
use super::merge_weights::weights;
use crate::bundle::{Member, Role, Tensors};
use crate::decide::{BudgetTooSmall, Calibration, Decider, Merge, Version};
use crate::detect::{ALL, Detector, Kind, Setting};
use crate::fit::seed::{Use, stream};
use crate::math::RankTail;
use crate::record::{Columns, Probability, Rows};

/// The detectors of a bundle in the order of `detect::ALL`.
pub struct Detectors {
    learned: Vec<(&'static Kind, Box<dyn Detector>)>,
    /// How much each counts where it says what no other does.
    voices: Vec<f32>,
}

/// Which detectors are wanted, and what they are told.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    pub setting: Setting<'a>,
    /// Whether there is a protected model.
    pub protected: bool,
    /// Columns that the networks write.
    pub networks: Columns,
    /// Whether the reference may hold attacks.
    pub contaminated: bool,
    pub seed: u64,
}

impl Wanted<'_> {
    /// Columns that learning and scoring need filled.
    pub fn needs(&self) -> Columns {
        self.kinds().fold(Columns::X, |needs, kind| needs.and(kind.needs))
    }

    fn kinds(&self) -> impl Iterator<Item = &'static Kind> {
        let wanted = *self;
        let lacks = move |kind: &Kind, columns: Columns| {
            kind.needs.meets(columns) && !wanted.networks.contains(columns)
        };
        ALL.iter().filter(move |kind| {
            let all = [
                Columns::TWIN,
                Columns::RESTORED,
                Columns::SURPRISAL,
                Columns::LAYERS,
                Columns::PIXEL_ODDS,
                Columns::LAYER_ODDS,
                Columns::COPIES,
            ];
            !all.into_iter().any(|columns| lacks(kind, columns))
                && (wanted.protected || !kind.needs_protected_model)
                && (wanted.contaminated || !kind.contaminated_only)
                && (kind.suits)(wanted.setting.schema)
        })
    }

    /// Every detector draws the same numbers, so that a new one changes no other.
    fn rng(&self) -> ChaCha8Rng {
        stream(self.seed, Use::Detectors)
    }
}

impl Detectors {
    /// Every detector that is wanted, learned from `clean`; those that are made for a contaminated
    /// reference learn from `all` of its rows, of which only `x` is looked at.
    pub fn learn(clean: &Table, all: &Table, wanted: Wanted<'_>) -> Self {
        let learn = |kind: &'static Kind| {
            let table = if kind.contaminated_only { all } else { clean };
            (kind, (kind.learn)(&table.rows(), wanted.setting, &mut wanted.rng()))
        };
        let voices = wanted.kinds().map(|kind| (kind.voice)(wanted.setting.schema)).collect();
        Self { learned: wanted.kinds().map(learn).collect(), voices }
    }

    /// Scores of every row, one array `[n]` per detector.
    pub fn scores(&self, table: &Table) -> Vec<Array1<f32>> {
        self.learned.iter().map(|(_, detector)| score(&**detector, table)).collect()
    }

    /// Calibrates twice, on rows that nothing was learned from and that do not overlap: each
    /// detector's ranks on `ranks`, what is merged of them on `merged`. `clean` is only scored.
    ///
    /// # Errors
    /// If `merged` has too few rows for `budget`.
    pub fn calibrate(
        &self,
        ranks: &Table,
        merged: &Table,
        clean: &Table,
        budget: Probability,
        weighing: Option<&Weighed>,
    ) -> Result<Decider, BudgetTooSmall> {
        let scores = self.scores(ranks);
        let tails: Vec<_> = scores.iter().map(|s| RankTail::new(s.to_vec())).collect();
        let surprises = |scores: &[Array1<f32>]| -> Vec<Array1<f32>> {
            let pairs = scores.iter().zip(&tails);
            pairs.map(|(scores, tail)| scores.mapv(|s| tail.surprise(s))).collect()
        };
        let by_clean = || weights(&surprises(&scores), &self.voices);
        let members = match weighing {
            None => self.equal(&by_clean()),
            Some(weighing) if weighing.by_queries => self.twice(&by_clean(), weighing, &surprises),
            Some(weighing) => self.weighed(weighing, &surprises),
        };
        let beside = members.iter().any(|member| member.role != Role::Attack);
        let asked = weighing.is_some_and(|weighing| weighing.by_queries);
        let share = if asked { STRANGE } else { TRIGGERS };
        let triggers = beside.then_some(share);
        let merge =
            Merge::new(members.into_iter().zip(tails).collect(), &by_row(&scores), triggers);
        let calibration = Calibration::new(merge_rows(&self.scores(merged), |s| merge.score(s)));
        let clean = merge_rows(&self.scores(clean), |s| merge.score(s));
        Decider::new(merge, calibration, clean, budget)
    }

    /// All of them in one sum.
    fn equal(&self, weights: &[f32]) -> Vec<Member> {
        let pairs = self.learned.iter().zip(weights);
        pairs.map(|((kind, _), &weight)| member(kind, weight, Role::Attack)).collect()
    }

    /// Those that attacks of our own can weigh in a sum; those of triggers in one beside it.
    fn weighed(&self, weighed: &Weighed, surprises: &Surprises<'_>) -> Vec<Member> {
        let in_sum = |kind: &Kind| kind.role != Role::Trigger;
        let groups = self.groups(weighed, surprises, in_sum);
        let k = self.learned.iter().filter(|(kind, _)| in_sum(kind)).count();
        let mut weights = attack_weights::learn(&groups, k).into_iter();
        let member = |(kind, _): &(&'static Kind, Box<dyn Detector>)| match kind.role {
            Role::Trigger => member(kind, 1.0, Role::Trigger),
            role => member(kind, weights.next().expect("one each"), role),
        };
        self.learned.iter().map(member).collect()
    }

    /// Of a table that was attacked by queries: all in a sum that these attacks weigh, and those that clean rows
    /// give a weight (`by_clean`) in a sum beside it. Attacks at a model's boundary are ordinary rows to most detectors,
    /// and would teach the first sum not to hear what is strange.
    fn twice(&self, by_clean: &[f32], weighed: &Weighed, surprises: &Surprises<'_>) -> Vec<Member> {
        let groups = self.groups(weighed, surprises, |_| true);
        let weights = attack_weights::learn(&groups, self.learned.len());
        let both = |i: usize| by_clean[i] > 0.0 && self.voices[i] > 0.0;
        let role = |i| if both(i) { Role::Both } else { Role::Attack };
        let each = self.learned.iter().zip(weights).enumerate();
        each.map(|(i, ((kind, _), weight))| member(kind, weight, role(i))).collect()
    }

    /// What those `in_sum` say of clean and harmless rows, and of attacks of our own.
    fn groups(
        &self,
        weighed: &Weighed,
        surprises: &Surprises<'_>,
        in_sum: impl Fn(&Kind) -> bool,
    ) -> Vec<Group> {
        let group = |table: &Table, attacked, weight| {
            let all = surprises(&self.scores(table));
            let summed = all.into_iter().zip(&self.learned).filter(|(_, (kind, _))| in_sum(kind));
            let summed: Vec<_> = summed.map(|(surprises, _)| surprises).collect();
            Group { surprises: by_row(&summed), attacked, weight }
        };
        let mut groups =
            vec![group(&weighed.clean, false, CLEAN), group(&weighed.harmless, false, 1.0 - CLEAN)];
        groups.extend(weighed.attacks.iter().map(|(table, w)| group(table, true, f64::from(*w))));
        groups
    }

    /// Merged scores of every row, `[n]`.
    pub fn merged(&self, decider: &Decider, table: &Table) -> Vec<f32> {
        merge_rows(&self.scores(table), |scores| decider.merge(scores))
    }

    /// The version of every row that would be delivered instead of it, `[n]`.
    pub fn versions(&self, decider: &Decider, table: &Table) -> Vec<Version> {
        let (rows, scores) = (table.rows(), by_row(&self.scores(table)));
        (0..rows.len()).map(|i| decider.version(&rows, i, &scores[i])).collect()
    }

    /// Puts what they learned where a bundle keeps it: that of those that `decider` hears. The
    /// others change no merged score, and a stream should not pay for them.
    pub fn save(&self, decider: &Decider, tensors: &mut Tensors) -> Vec<Member> {
        let heard = |(_, m): &((_, _), Member)| m.weight > 0.0 || m.role != Role::Attack;
        let pairs = self.each().zip(decider.members()).filter(heard);
        pairs
            .map(|((_, detector), member)| {
                detector.save(tensors);
                member
            })
            .collect()
    }

    /// Each detector with its name.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, &dyn Detector)> {
        self.learned.iter().map(|(kind, detector)| (kind.name, &**detector))
    }
}

/// Which rows of `all` to learn from if a `share` of them may be attacks: all but that share of
/// the most isolated, in their order. None if there is nothing to isolate rows by.
///
/// A clean row that is left out costs little; an attack that stays teaches the detectors that it
/// is normal. The rows that calibrate are not trimmed: clean rows keep their budget, and attacks
/// among them cost power, for they take the ranks that flag. Where their share is above the budget,
/// the budget goes to them and hardly anything is flagged: ask for more than that share.
///
/// Measured on shuttle, training and calibration rows holding 1 % and 5 % of anomalies, with
/// that share told to `fit` and not told:
///
/// | holding, budget | clean flagged, caught when told | when not |
/// | --- | --- | --- |
/// | 1 %, 1 % | .0002, .882 | .0045, .387 |
/// | 1 %, 5 % | .037, .996 | .039, .756 |
/// | 5 %, 1 % | .0004, .201 | .005, .075 |
/// | 5 %, 10 % | .056, .999 | .093, .306 |
///
/// Mean AUROC over annthyroid, magic, pendigits, satellite and shuttle: .872 becomes .911 with 1 %,
/// .774 becomes .882 with 5 %.
pub fn trimmed(all: &Table, share: Probability, wanted: Wanted<'_>) -> Option<Vec<usize>> {
    let kind = wanted.kinds().find(|kind| kind.contaminated_only)?;
    let forest = (kind.learn)(&all.rows(), wanted.setting, &mut wanted.rng());
    let scores = score(&*forest, all);
    let mut order: Vec<usize> = (0..scores.len()).collect();
    // A stable sort: among equals the later rows go first, whatever the machine.
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let out = (share.get() * scores.len() as f64).ceil() as usize;
    order.truncate(scores.len() - out.min(scores.len()));
    order.sort_unstable();
    Some(order)
}

/// Share of the budget for detectors of triggers; with none at all triggers pass. With .2 attacks of
/// our own lose half a point of what is caught, with .05 triggers do.
const TRIGGERS: f32 = 0.1;

/// Share of the budget for them where a table was attacked by queries: half, so that a strange row needs twice the surprise that it needed alone.
const STRANGE: f32 = 0.5;

/// Of what is not attacked, how much rows count that nobody touched; the rest are disturbed ones.
const CLEAN: f64 = 0.7;

/// What weighs the detectors, its columns filled.
pub struct Weighed {
    pub clean: Table,
    pub harmless: Table,
    pub attacks: Vec<(Table, f32)>,
    /// The attacks only asked the model.
    pub by_queries: bool,
}

/// From scores to surprises, one array per detector both.
type Surprises<'a> = dyn Fn(&[Array1<f32>]) -> Vec<Array1<f32>> + 'a;

fn member(kind: &Kind, weight: f32, role: Role) -> Member {
    Member { kind: kind.name.into(), weight, role }
}

/// The label that the protected model gives this version of row `i`.
pub fn label_of(rows: &Rows<'_>, version: Version, i: usize) -> usize {
    let answer = match version {
        Version::Restored => rows.restored_answer,
        Version::Twin => rows.twin_answer,
    };
    Rows { answer, ..*rows }.label(i)
}

pub fn score(detector: &dyn Detector, table: &Table) -> Array1<f32> {
    let rows = table.rows();
    let mut scores = Array1::zeros(rows.len());
    detector.score(&rows, scores.view_mut());
    scores
}

/// `merge` of each row's scores, given one array per detector.
fn merge_rows(scores: &[Array1<f32>], merge: impl Fn(&[f32]) -> f32) -> Vec<f32> {
    by_row(scores).iter().map(|row| merge(row)).collect()
}

/// One number per detector for each row, given one array per detector.
fn by_row(scores: &[Array1<f32>]) -> Vec<Vec<f32>> {
    let n = scores.first().map_or(0, Array1::len);
    (0..n).map(|i| scores.iter().map(|scores| scores[i]).collect()).collect()
}
