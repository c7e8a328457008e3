//! PA, prognosis (ISO 13381-1): how long until a tag reaches its failure limit, as an interval, or why nobody can say.

pub(crate) mod degradation;
pub(crate) mod exponential;
pub(crate) mod normal;
