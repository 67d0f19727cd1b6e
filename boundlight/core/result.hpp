// Result<T>: a value, or an Error that names the thing, the place and the way out.
//
// Three kinds of trouble, three channels:
//   bad input (model, image, property, certificate, option)  -> Result<T> with an Error;
//   a contract violated by a caller (a bug)                   -> ContractViolation, see contract.hpp;
//   "unknown", "timeout"                                      -> verdicts with a reason, never errors.
// Libraries never print, exit or abort.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "boundlight/core/contract.hpp"

namespace boundlight {

enum class ErrorKind {
  bad_input,      // a file or option holds something that cannot be right
  unsupported,    // well formed, but outside of what this build can do
  io,             // the operating system refused (missing file, full disk, permissions)
  out_of_memory,  // the memory cap would be exceeded
  cancelled,      // a stop was asked for before any answer existed
};

struct Error {
  ErrorKind kind = ErrorKind::bad_input;
  std::string place;    // "model.onnx: node conv_3 (Conv)", "prop.vnnlib:12:7", "option --eps"
  std::string message;  // one sentence: what is wrong and what to do

  [[nodiscard]] std::string text() const { return place.empty() ? message : place + ": " + message; }
};

template <class T>
class [[nodiscard]] Result {
 public:
  // Two constructors rather than one by value: `return local;` then moves with every compiler (nvcc's copies otherwise).
  Result(T&& value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit on purpose
  Result(const T& value) : state_(std::in_place_index<0>, value) {}            // NOLINT: implicit on purpose
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}    // NOLINT: implicit on purpose

  [[nodiscard]] bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  // Precondition: ok().
  T& value() & { demand(ok(), "Result::value() called on an error: " + (ok() ? "" : std::get<1>(state_).text())); return std::get<0>(state_); }
  const T& value() const& { return const_cast<Result*>(this)->value(); }
  T&& value() && { return std::move(value()); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  // Precondition: !ok().
  const Error& error() const { demand(!ok(), "Result::error() called on a value"); return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT: implicit on purpose
  [[nodiscard]] bool ok() const { return !error_; }
  explicit operator bool() const { return ok(); }
  const Error& error() const { demand(!ok(), "Result::error() called on a value"); return *error_; }

 private:
  std::optional<Error> error_;
};

}  // namespace boundlight

// Returns the error of `expr` from the enclosing function, or binds its value to `name`.
#define BL_TRY(name, expr)                                   \
  auto name##_result = (expr);                               \
  if (!name##_result.ok()) return name##_result.error();     \
  auto& name = name##_result.value()

#define BL_CHECK(expr)                                                         \
  do {                                                                         \
    auto bl_check_result = (expr);                                             \
    if (!bl_check_result.ok()) return bl_check_result.error();                 \
  } while (false)
