// The checker: the bytes are a certificate, readdressed to a claim that is false. Whatever they say, it is not accepted;
// and what parses is written back to the same structure.
#include <cstddef>
#include <cstdint>

#include "boundlight/solver/check/check.hpp"
#include "boundlight/solver/evidence/write.hpp"
#include "fuzz/expect.hpp"
#include "fuzz/false_claim.hpp"

using namespace boundlight;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto certificate = check::parse_certificate({reinterpret_cast<const char*>(data), size});
  if (!certificate.ok()) {
    fuzz::expect_sentence(certificate.error());
    return 0;
  }
  const std::string bytes = check::serialize(*certificate);
  const auto again = check::parse_certificate(bytes);
  fuzz::expect(again.ok() && check::serialize(*again) == bytes, "a certificate that does not come back");
  fuzz::address(*certificate);
  const auto verdict = check::check_bytes(check::serialize(*certificate), fuzz::false_claim_model(), fuzz::false_claim_spec());
  fuzz::expect(verdict.ok(), "a check that does not end with a verdict");
  fuzz::expect(verdict->kind == check::Verdict::Kind::rejected, "a false claim was accepted:\n" + check::text(*verdict));
  fuzz::expect(!verdict->place.empty() && !verdict->reason.empty(), "a rejection without place or reason");
  return 0;
}
