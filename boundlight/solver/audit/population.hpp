// What a sample says about the population that it was drawn from.
#pragma once

#include <cstdint>

namespace boundlight {

struct ShareBounds {
  double lower = 0, upper = 1;
};

// Clopper and Pearson 1934: an interval that contains the population's share with probability at least `confidence`, when
// `hits` of `drawn` independent draws had the property. lower: P(Bin(drawn, lower) >= hits) = (1 - confidence) / 2; upper
// likewise. The quantiles of the beta distribution are moved outward by 1e-9 relative, far above their error.
// Preconditions: 0 <= hits <= drawn, drawn > 0, 0 < confidence < 1.
ShareBounds clopper_pearson(std::int64_t hits, std::int64_t drawn, double confidence);

}  // namespace boundlight
