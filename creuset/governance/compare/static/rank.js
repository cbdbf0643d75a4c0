// The arithmetic of creuset/governance/compare/rank.py and money.py, for the weights and the volume of the reader. No document here.
const clamp = x => Math.min(1, Math.max(0, x));
const rules = {
  share: v => v, points: v => v, share_low: v => 1 - v, percent: v => v / 100,
  zero: v => 1 - Math.abs(v), fifty: v => 1 - Math.abs(v - 50) / 50,
  high: (v, known) => Math.max(...known) > 0 ? v / Math.max(...known) : 1,
  low: (v, known) => v > 0 ? Math.min(...known) / v : 1,
};
const utility = (scale, value, known) => clamp(rules[scale](value, known));

// For each of `columns` (numbers of systems), {group: {known, points, square}} for a weight of 1.
function parts(rows, columns, sharedOnly) {
  let seen = rows.map(r => ({group: r.group, scale: r.scale, cells: columns.map(i => r.cells[i])}))
    .filter(r => r.cells.some(c => c.value !== null));
  if (sharedOnly) seen = seen.filter(r => r.cells.every(c => c.value !== null));
  const size = {};
  for (const r of seen) size[r.group] = (size[r.group] || 0) + 1;
  const made = columns.map(() => Object.fromEntries(Object.keys(size).map(g => [g, {known: 0, points: 0, square: 0}])));
  for (const r of seen) {
    const each = 1 / size[r.group], known = r.cells.filter(c => c.value !== null).map(c => c.value);
    r.cells.forEach((c, at) => {
      if (c.value === null) return;
      const part = made[at][r.group];
      let half = 0;
      if (c.low !== null && c.high !== null) {
        const ends = [c.low, c.value, c.high].map(v => utility(r.scale, v, known));
        half = (Math.max(...ends) - Math.min(...ends)) / 2;
      }
      part.known += each;
      part.points += each * utility(r.scale, c.value, known);
      part.square += (each * half) ** 2;
    });
  }
  return made;
}

function standing(groups, weights, missing) {
  let every = 0, known = 0, points = 0, square = 0;
  for (const [g, p] of Object.entries(groups)) {
    const w = weights[g] || 0;
    every += w;
    known += w * p.known;
    points += w * p.points;
    square += w * w * p.square;
  }
  if (every <= 0 || (known <= 0 && missing !== "worst"))
    return {total: null, coverage: 0, low: 0, high: every > 0 ? 1 : 0, half: 0, by: {}};
  const low = points / every, high = (points + every - known) / every, over = missing === "ignore" ? known : every;
  const by = {};
  for (const [g, p] of Object.entries(groups)) if (p.known > 0) by[g] = (weights[g] || 0) * p.points / over;
  return {total: missing === "interval" ? (low + high) / 2 : points / over, coverage: known / every, low, high,
    half: Math.sqrt(square) / over, by};
}

// Whether `a` is surely before `b`: further than both intervals together explain.
function before(a, b, missing) {
  if (a.total === null || b.total === null) return false;
  const gap = missing === "interval" ? a.low - b.high : a.total - b.total;
  return gap > Math.hypot(a.half, b.half) + 1e-12;
}

// [best, worst] place of each, or null where there is no total, or too little is known.
const LEAST_KNOWN = .5, ranked = s => s.total !== null && s.coverage >= LEAST_KNOWN - 1e-12;
function places(found, missing) {
  const some = found.filter(ranked);
  return found.map(s => !ranked(s) ? null
    : [1 + some.filter(o => before(o, s, missing)).length, some.length - some.filter(o => before(s, o, missing)).length]);
}

const DRAWS = 2000, ROOTS = [2, 3, 5, 7, 11, 13, 17, 19, 23].map(Math.sqrt);

// [share of all weightings in which it is surely first, share in which nobody is surely before it] for each.
function firstShares(found, missing, order, draws = DRAWS) {
  const groups = order.filter(g => found.some(p => p[g] && p[g].known > 0));
  const alone = found.map(() => 0), tied = found.map(() => 0);
  for (let n = 1; groups.length && n <= draws; n++) {
    const drawn = groups.map((_, i) => -Math.log(1 - (n * ROOTS[i]) % 1)), sum = drawn.reduce((s, d) => s + d, 0);
    const weights = Object.fromEntries(groups.map((g, i) => [g, drawn[i] / sum]));
    places(found.map(p => standing(p, weights, missing)), missing).forEach((place, i) => {
      if (!place) return;
      if (place[0] === 1 && place[1] === 1) alone[i]++;
      if (place[0] === 1) tied[i]++;
    });
  }
  return alone.map((a, i) => [a / draws, tied[i] / draws]);
}

// What a month of the volume costs, in the offer's currency.
function month(v, offer) {
  if ("hour" in offer) return v.requests * v.output_tokens / offer.tokens_per_second / 3600 * offer.hour;
  const or = (x, full) => x === null ? full : x;
  const read = v.input_tokens * ((1 - v.cached_share) * offer.input + v.cached_share * or(offer.cached_input, offer.input));
  const now = read + v.output_tokens * offer.output;
  const later = v.input_tokens * or(offer.batch_input, offer.input) + v.output_tokens * or(offer.batch_output, offer.output);
  return v.requests * ((1 - v.batch_share) * now + v.batch_share * later) / 1e6;
}
