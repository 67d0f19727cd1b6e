// What a certificate of a map says is nearly what the search found, on a network where searched slopes decide neurons that plain
// rows leave open. Soundness of certificates: tests/check/importance_test.cpp.
#include "boundlight/explain/eva_certificate.hpp"
#include "explain/shared_case.hpp"

using namespace boundlight;
using namespace boundlight::test;

TEST_CASE("the certificate of a map made of parts bounds the region about as tightly as the search") {
  if (!shared_data()) {
    WARN("skipped: the shared data are not there");
    return;
  }
  auto c = shared_case("mnist-net_256x2", "mnist_1000.npz", 0, 0.02, *grid_cells(28, 28, 12, 12));
  EvaOptions o;
  o.tier = EvaTier::alpha;
  o.most_parts = 64;
  o.evidence = true;
  auto map = eva(*c.engine, c.question, o);
  if (!map.ok()) FAIL(map.error().text());
  const double found = map->verified_base, gap = found - map->attained_base;
  CertifiedImage image;
  image.ball = c.ball;
  const auto certificate = certify(*c.engine, c.question, image, o, *map);
  if (!certificate.ok()) FAIL(certificate.error().text());
  CAPTURE(found, gap, map->verified_base);
  CHECK(map->verified_base <= found + 0.1 * gap);
  CHECK(map->verified_base >= map->attained_base);
}
