// The decision rule, as searchdet/records/rule.py has it: tests/records/rule_cases.json holds for both. Pure.

export const ACCEPTED = "accepted";
export const SUPPRESSED = "suppressed";

const exists = (value) => value !== null && !Number.isNaN(value);

// "accepted", or the first rule that fails: "score", "margin", "class_margin", "suppressed". A rule without
// its input (null or NaN: no negatives, one class) does not apply.
// standing: scoreBeforeSuppression, score, suppressionFactor, margin, classMargin of a candidate.
// limits: minScore, minMargin and classMargin (0: none) of its class.
export function reasonOf(standing, limits) {
  if (standing.scoreBeforeSuppression < limits.minScore) return "score";
  if (exists(standing.margin) && standing.margin < limits.minMargin) return "margin";
  const lead = standing.classMargin;
  if (limits.classMargin > 0 && exists(lead) && lead < limits.classMargin) return "class_margin";
  if (standing.suppressionFactor <= 0 || standing.score < limits.minScore) return SUPPRESSED;
  return ACCEPTED;
}

// How far a candidate is from the other decision: the tightest of its rules, negative if it fails one.
export function slackOf(standing, limits) {
  let found = standing.score - limits.minScore;
  if (exists(standing.margin)) found = Math.min(found, standing.margin - limits.minMargin);
  const lead = standing.classMargin;
  if (limits.classMargin > 0 && exists(lead)) found = Math.min(found, lead - limits.classMargin);
  return found;
}
