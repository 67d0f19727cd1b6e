// boundlight check CERT MODEL [SPEC]: replays a certificate without the engine, the search or their readers.
#include "boundlight/solver/check/check.hpp"
#include "boundlight/solver/evidence/write.hpp"

#include <chrono>
#include <cmath>
#include <cstdio>

#include "boundlight/apps/cli/properties.hpp"

namespace boundlight::cli {
namespace {

struct CheckArguments {
  std::string certificate, model, spec, json;
  double timeout = 0;
};

const char* word_of(check::Verdict::Kind kind) {
  switch (kind) {
    case check::Verdict::Kind::accepted: return "accepted";
    case check::Verdict::Kind::partial: return "partial";
    case check::Verdict::Kind::rejected: break;
  }
  return "rejected";
}

// Stable: 0 proved, 11 proved but for believed operators, 10 rejected.
int code_of(check::Verdict::Kind kind) {
  switch (kind) {
    case check::Verdict::Kind::accepted: return kDone;
    case check::Verdict::Kind::partial: return kUnknown;
    case check::Verdict::Kind::rejected: break;
  }
  return kViolated;
}

Json json_of(const CheckArguments& o, const check::Verdict& v, double seconds) {
  Json j = {{"verdict", word_of(v.kind)}, {"complete", v.kind == check::Verdict::Kind::accepted}, {"certificate", o.certificate},
            {"model", o.model}, {"property", o.spec.empty() ? Json(nullptr) : Json(o.spec)}, {"model_sha256", v.model_sha256},
            {"property_sha256", v.spec_sha256}, {"semantics", v.semantics == check::Semantics::real ? "real" : "float32-any-order"},
            {"made_by", v.engine}, {"proved", v.proved}, {"trusted", v.trusted}, {"disjuncts", v.disjuncts}, {"vacuous", v.vacuous},
            {"nodes", v.nodes}, {"leaves", v.leaves}};
  j["least_margin"] = std::isfinite(v.least_margin) ? Json(v.least_margin) : Json(nullptr);
  if (v.kind == check::Verdict::Kind::rejected) j["fails_at"] = v.place, j["because"] = v.reason;
  j["seconds"] = seconds;
  return j;
}

Result<int> run_check(const CheckArguments& o, StopToken stop) {
  const Output output(o.json);
  BL_CHECK(can_write("--json", o.json));
  check::CheckOptions options;
  options.stop = o.timeout > 0 ? stop.with_deadline(o.timeout) : stop;
  const auto start = std::chrono::steady_clock::now();
  const auto checked = check::check(o.certificate, o.model, o.spec.empty() ? std::nullopt : std::optional<std::filesystem::path>(o.spec), options);
  if (!checked.ok()) {
    if (checked.error().kind != ErrorKind::cancelled) return checked.error();
    output.say("unfinished: " + checked.error().message + "; nothing is said about the certificate");
    BL_CHECK(output.finish({{"verdict", "unfinished"}, {"certificate", o.certificate}, {"model", o.model}}));
    return stop.cancelled() ? kInterrupted : kTimeout;
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (output.text()) std::printf("%s", check::text(*checked).c_str());
  BL_CHECK(output.finish(json_of(o, *checked, seconds)));
  return code_of(checked->kind);
}

}  // namespace

void add_check(CLI::App& app, Session& session) {
  auto* command = app.add_subcommand("check", "Replay a certificate without trusting what made it");
  auto o = std::make_shared<CheckArguments>();
  command->add_option("certificate", o->certificate, "Certificate, as verify --certificate writes it")->required()->type_name("CERT");
  command->add_option("model", o->model, "ONNX file that the certificate is about")->required()->type_name("MODEL");
  command->add_option("property", o->spec, "VNN-LIB file that the certificate is about; none when it carries its own statements")->type_name("SPEC");
  command->add_option("--timeout", o->timeout, "Seconds; then nothing is said about the certificate, exit code 12")->check(seconds());
  add_json_option(*command, o->json);
  command->footer("Exit codes: 0 accepted, 10 rejected (the first step that fails is named), 11 partial (operators without a rule were believed), 12 timeout.\n"
                  "Example: boundlight check proof.blcert examples/honest.onnx property.vnnlib");
  command->callback([&session, o] { session.run = [o, &session] { return run_check(*o, session.stop); }; });
}

}  // namespace boundlight::cli
