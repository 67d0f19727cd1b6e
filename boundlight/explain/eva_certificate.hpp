// A map's certificate: what `boundlight check` needs to prove every interval of the map again, without the engine.
//
//   upper ends  per rival one tree of parts of B with the slopes and multipliers that were searched (tiers shared and alpha), or per
//               cell boxes and rows of its own (tiers refined and full); the checker computes the bounds of both itself
//   lower ends  the points at which the overlaps are attained
#pragma once

#include "boundlight/bounds/pixel_region.hpp"
#include "boundlight/explain/eva.hpp"
#include "boundlight/solver/check/certificate.hpp"

namespace boundlight {

struct CertifiedImage {
  PixelBall ball;        // what B was made of
  int half = 0;          // 1: only z >= x, -1: only z <= x
  std::string title;
};

// Replaces the map's overlaps by those that the checker's own arithmetic confirms, and everything that follows from them: what the
// report shows is what the certificate proves. The map needs its evidence. Errors: unsupported, with what makes a certificate
// impossible (an operator without a rule, a bound that is not finite, samples instead of bounds); the map is unchanged then.
Result<check::Certificate> certify(Engine& engine, const EvaQuestion& question, const CertifiedImage& image, const EvaOptions& options, EvaMap& map);

}  // namespace boundlight
