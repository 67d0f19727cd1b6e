#include "boundlight/solver/spec/vnnlib.hpp"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "boundlight/core/files.hpp"
#include "boundlight/solver/spec/vnnlib_tokens.hpp"

namespace boundlight {
namespace {

using vnnlib::Token;
using vnnlib::Tokens;

using BigInt = boost::multiprecision::cpp_int;

// Thrown inside this file only; parse_vnnlib turns it into an Error.
struct Trouble {
  Token where;
  std::string message;
  ErrorKind kind = ErrorKind::bad_input;
};

// sum terms + constant; a key is the variable's number: inputs first, then outputs.
struct Linear {
  std::map<std::int64_t, Rational> terms;
  Rational constant = 0;

  void add(const Linear& other, const Rational& factor) {
    constant += factor * other.constant;
    for (const auto& [v, c] : other.terms) terms[v] += factor * c;
  }
  void scale(const Rational& factor) {
    constant *= factor;
    for (auto& [v, c] : terms) c *= factor;
  }
  void drop_zeros() { std::erase_if(terms, [](const auto& t) { return t.second == 0; }); }
};

std::size_t bits(const Rational& q) {
  const BigInt top = abs(boost::multiprecision::numerator(q)), bottom = boost::multiprecision::denominator(q);
  return (top == 0 ? 0 : msb(top)) + msb(bottom);
}

constexpr std::int64_t kFirstOutput = std::int64_t{1} << 40;

struct Atom {
  Linear left;  // left <= 0, or < 0
  bool strict = false;
  // One input and nothing else: a side of the box.
  [[nodiscard]] bool is_side() const { return left.terms.size() == 1 && left.terms.begin()->first < kFirstOutput; }
};

struct Formula {
  enum Kind { atom, conjunction, disjunction } kind = atom;
  std::uint32_t index = 0;        // of the atom
  std::vector<Formula> children;  // otherwise
};

using Conjunct = std::vector<std::uint32_t>;  // atoms in file order

class Parser {
 public:
  Parser(std::string_view text, const VnnlibLimits& limits) : tokens_(text), limits_(limits) {}

  void file() {
    while (!tokens_.peek().text.empty()) {
      open("a command starts with '('");
      const Token command = tokens_.take();
      if (command.text == "declare-const" || command.text == "declare-fun") {
        declare(command.text == "declare-fun");
      } else if (command.text == "assert") {
        asserted_.push_back(formula(false, 2));
      } else if (command.text == "vnnlib-version") {
        throw Trouble{command, "this is a VNN-LIB 2 file; give the property in VNN-LIB 1.0", ErrorKind::unsupported};
      } else {
        throw Trouble{command, "unknown command '" + clip(command.text) + "'; known are declare-const, declare-fun and assert"};
      }
      close();
    }
    end_ = tokens_.peek();
  }

  std::int64_t count(bool outputs) const {
    const auto& names = outputs ? outputs_ : inputs_;
    const char letter = outputs ? 'Y' : 'X';
    if (names.empty()) throw Trouble{end_, std::string("no ") + letter + "_i is declared; declare every input X_i and output Y_j"};
    const std::int64_t n = static_cast<std::int64_t>(names.size());
    for (std::int64_t i = 0; i < n; ++i)
      if (!names.count(i))
        throw Trouble{end_, std::string(1, letter) + "_" + std::to_string(i) + " is not declared though a higher index is; number them from 0 without gaps"};
    return n;
  }

  std::vector<Formula> asserted_;
  std::vector<Atom> atoms_;
  Token end_;

 private:
  static std::string clip(std::string_view text) { return std::string(text.substr(0, 60)); }

  void open(const char* why) {
    const Token t = tokens_.take();
    if (t.text != "(") throw Trouble{t, t.text.empty() ? "the file ends too early" : std::string("expected '(': ") + why};
  }
  void close() {
    const Token t = tokens_.take();
    if (t.text != ")") throw Trouble{t, t.text.empty() ? "the file ends before a ')'" : "expected ')', found '" + clip(t.text) + "'"};
  }
  void guard(const Token& t, int depth) const {
    if (depth > limits_.max_depth)
      throw Trouble{t, "nested deeper than " + std::to_string(limits_.max_depth) + " levels (max_depth)", ErrorKind::unsupported};
  }

  // X_12 or Y_3, nothing else.
  static std::optional<std::int64_t> variable(std::string_view name) {
    if (name.size() < 3 || name.size() > 12 || (name[0] != 'X' && name[0] != 'Y') || name[1] != '_') return std::nullopt;
    std::int64_t i = 0;
    for (const char c : name.substr(2)) {
      if (c < '0' || c > '9') return std::nullopt;
      i = i * 10 + (c - '0');
    }
    if (name[2] == '0' && name.size() > 3) return std::nullopt;
    return name[0] == 'X' ? i : kFirstOutput + i;
  }

  void declare(bool function) {
    const Token name = tokens_.take();
    const auto v = variable(name.text);
    if (!v) throw Trouble{name, "'" + clip(name.text) + "' is not a variable name; inputs are X_0, X_1, ..., outputs Y_0, Y_1, ..."};
    if (function) {
      open("a declare-fun has an empty list of arguments");
      close();
    }
    const Token sort = tokens_.take();
    if (sort.text != "Real") throw Trouble{sort, "'" + clip(sort.text) + "' is not a known sort; variables are Real"};
    auto& names = *v < kFirstOutput ? inputs_ : outputs_;
    if (!names.emplace(*v < kFirstOutput ? *v : *v - kFirstOutput, 0).second)
      throw Trouble{name, clip(name.text) + " is declared twice"};
    if (static_cast<std::int64_t>(names.size()) > limits_.max_variables)
      throw Trouble{name, "more than " + std::to_string(limits_.max_variables) + " variables (max_variables)", ErrorKind::unsupported};
  }

  Formula formula(bool negated, int depth) {
    open("a formula is (and ...), (or ...), (not ...) or a comparison");
    const Token head = tokens_.take();
    guard(head, depth);
    Formula f;
    if (head.text == "and" || head.text == "or") {
      f.kind = (head.text == "and") != negated ? Formula::conjunction : Formula::disjunction;
      while (tokens_.peek().text == "(") f.children.push_back(formula(negated, depth + 1));
      if (f.children.empty()) throw Trouble{tokens_.peek(), "'" + clip(head.text) + "' needs at least one formula"};
    } else if (head.text == "not") {
      f = formula(!negated, depth + 1);
    } else if (head.text == "<=" || head.text == ">=" || head.text == "<" || head.text == ">" || head.text == "=") {
      f = comparison(head, negated, depth + 1);
    } else {
      throw Trouble{head, "unknown operator '" + clip(head.text) + "'; known are and, or, not, <=, >=, <, >, ="};
    }
    close();
    return f;
  }

  // a <= b <= c is (and (a <= b) (b <= c)); negated, a disjunction of the opposites.
  Formula comparison(const Token& op, bool negated, int depth) {
    std::vector<Linear> sides;
    while (tokens_.peek().text != ")" && !tokens_.peek().text.empty()) sides.push_back(expression(depth));
    if (sides.size() < 2) throw Trouble{tokens_.peek(), "'" + clip(op.text) + "' compares at least two expressions"};
    Formula all;
    all.kind = negated ? Formula::disjunction : Formula::conjunction;
    for (std::size_t i = 0; i + 1 < sides.size(); ++i) {
      const bool equal = op.text == "=", less = op.text[0] == '<';
      const bool strict = !equal && op.text.size() == 1;
      if (equal || less) all.children.push_back(atom(op, sides[i], sides[i + 1], strict, negated));
      if (equal || !less) all.children.push_back(atom(op, sides[i + 1], sides[i], strict, negated));
    }
    return all.children.size() == 1 ? all.children[0] : all;
  }

  // small <= large (< where strict), or its negation large < small (<=).
  Formula atom(const Token& at, const Linear& small, const Linear& large, bool strict, bool negated) {
    Atom a;
    a.left = negated ? large : small;
    a.left.add(negated ? small : large, -1);
    tidy(a.left, at);
    a.strict = strict != negated;
    atoms_.push_back(std::move(a));
    Formula f;
    f.index = static_cast<std::uint32_t>(atoms_.size() - 1);
    return f;
  }

  Linear expression(int depth) {
    const Token t = tokens_.take();
    guard(t, depth);
    if (t.text == "(") {
      Linear sum = operation(depth + 1);
      close();
      return sum;
    }
    Linear e;
    if (const auto v = variable(t.text)) {
      const bool known = *v < kFirstOutput ? inputs_.count(*v) : outputs_.count(*v - kFirstOutput);
      if (!known) throw Trouble{t, clip(t.text) + " is used before it is declared"};
      e.terms[*v] = 1;
      return e;
    }
    if (t.text.empty()) throw Trouble{t, "the file ends inside an expression"};
    const auto q = parse_decimal(t.text, limits_.max_digits);
    if (!q) throw Trouble{t, "'" + clip(t.text) + "' is neither a number (of at most " + std::to_string(limits_.max_digits) + " digits) nor a variable"};
    e.constant = *q;
    return e;
  }

  Linear operation(int depth) {
    const Token op = tokens_.take();
    if (op.text != "+" && op.text != "-" && op.text != "*" && op.text != "/")
      throw Trouble{op, "unknown operator '" + clip(op.text) + "' in an expression; known are +, -, *, /"};
    Linear result;
    Rational factor = 1;  // of products and quotients: applied once, at the end
    int n = 0;
    for (; tokens_.peek().text != ")" && !tokens_.peek().text.empty(); ++n) {
      const Token at = tokens_.peek();
      Linear next = expression(depth);
      if (n == 0) {
        result = std::move(next);
      } else if (op.text == "+" || op.text == "-") {
        result.add(next, op.text == "+" ? 1 : -1);
      } else if (op.text == "*") {
        if (!result.terms.empty() && !next.terms.empty()) throw Trouble{at, "a product of two variables is not linear", ErrorKind::unsupported};
        if (result.terms.empty()) std::swap(result, next);
        factor *= next.constant;
      } else {
        if (!next.terms.empty()) throw Trouble{at, "a division by a variable is not linear", ErrorKind::unsupported};
        if (next.constant == 0) throw Trouble{at, "a division by zero"};
        factor /= next.constant;
      }
      if (bits(result.constant) + bits(factor) > static_cast<std::size_t>(limits_.max_digits) * 8)
        throw Trouble{at, "a number grows beyond " + std::to_string(limits_.max_digits) + " digits (max_digits)", ErrorKind::unsupported};
    }
    if (n == 0) throw Trouble{tokens_.peek(), "'" + clip(op.text) + "' needs an argument"};
    if (n == 1 && op.text == "/") throw Trouble{tokens_.peek(), "'/' needs two arguments"};
    result.scale(n == 1 && op.text == "-" ? Rational(-1) : factor);
    tidy(result, op);
    return result;
  }

  // Drops what cancelled, and refuses numbers that only a hostile file would make.
  void tidy(Linear& e, const Token& at) const {
    e.drop_zeros();
    const std::size_t most = static_cast<std::size_t>(limits_.max_digits) * 8;
    bool fits = bits(e.constant) <= most;
    for (const auto& [v, c] : e.terms) fits = fits && bits(c) <= most;
    if (!fits) throw Trouble{at, "a number grows beyond " + std::to_string(limits_.max_digits) + " digits (max_digits)", ErrorKind::unsupported};
  }

  Tokens tokens_;
  const VnnlibLimits& limits_;
  std::unordered_map<std::int64_t, char> inputs_, outputs_;
};

// Disjunctive normal form, under the caps.
class Expansion {
 public:
  Expansion(const VnnlibLimits& limits, const Token& end) : limits_(limits), end_(end) {}

  std::vector<Conjunct> of(const Formula& f) {
    if (f.kind == Formula::atom) return {{f.index}};
    if (f.kind == Formula::conjunction) return of_all(f.children);
    std::vector<Conjunct> all;
    for (const Formula& child : f.children) {
      std::vector<Conjunct> some = of(child);
      std::move(some.begin(), some.end(), std::back_inserter(all));
      check(all.size(), 0);
    }
    return all;
  }

  // The conjunction of formulas: atoms are gathered first, so that a long list of bounds is not copied again and again.
  std::vector<Conjunct> of_all(const std::vector<Formula>& children) {
    std::vector<Conjunct> all(1);
    gather(children, all[0]);
    multiply(children, all);
    return all;
  }

  // The atoms that hold whatever branch is taken.
  static void gather(const std::vector<Formula>& children, Conjunct& atoms) {
    for (const Formula& child : children) {
      if (child.kind == Formula::atom) atoms.push_back(child.index);
      if (child.kind == Formula::conjunction) gather(child.children, atoms);
    }
  }

  void multiply(const std::vector<Formula>& children, std::vector<Conjunct>& all) {
    for (const Formula& child : children) {
      if (child.kind == Formula::conjunction) multiply(child.children, all);
      if (child.kind != Formula::disjunction) continue;
      const std::vector<Conjunct> some = of(child);
      std::size_t left = 0, right = 0;
      for (const Conjunct& c : all) left += c.size();
      for (const Conjunct& c : some) right += c.size();
      check(all.size() * some.size(), left * some.size() + right * all.size());
      std::vector<Conjunct> product;
      for (const Conjunct& a : all)
        for (const Conjunct& b : some) {
          product.push_back(a);
          product.back().insert(product.back().end(), b.begin(), b.end());
        }
      all = std::move(product);
    }
  }

 private:
  void check(std::size_t disjuncts, std::size_t literals) const {
    if (disjuncts > static_cast<std::size_t>(limits_.max_disjuncts))
      throw Trouble{end_, "the normal form has more than " + std::to_string(limits_.max_disjuncts) + " disjuncts (max_disjuncts)", ErrorKind::unsupported};
    if (literals > static_cast<std::size_t>(limits_.max_literals))
      throw Trouble{end_, "the normal form has more than " + std::to_string(limits_.max_literals) + " literals (max_literals)", ErrorKind::unsupported};
  }

  const VnnlibLimits& limits_;
  const Token& end_;
};

// Which sides of a box have been given.
struct OpenBox {
  InputBox box;
  std::vector<bool> has_lower, has_upper;

  explicit OpenBox(std::int64_t n) : has_lower(n, false), has_upper(n, false) {
    box.lower.resize(n);
    box.upper.resize(n);
    box.lower_strict.assign(n, false);
    box.upper_strict.assign(n, false);
  }
  // c x + k <= 0
  void narrow(const Atom& a) {
    const auto& [i, c] = *a.left.terms.begin();
    const Rational end = -a.left.constant / c;
    if (c > 0) {
      if (!has_upper[i] || end < box.upper[i]) box.upper_strict[i] = a.strict;
      else if (end == box.upper[i] && a.strict) box.upper_strict[i] = true;
      if (!has_upper[i] || end < box.upper[i]) box.upper[i] = end;
      has_upper[i] = true;
    } else {
      if (!has_lower[i] || end > box.lower[i]) box.lower_strict[i] = a.strict;
      else if (end == box.lower[i] && a.strict) box.lower_strict[i] = true;
      if (!has_lower[i] || end > box.lower[i]) box.lower[i] = end;
      has_lower[i] = true;
    }
  }
};

LinearConstraint constraint_of(const Atom& a) {
  LinearConstraint c;
  for (const auto& [v, q] : a.left.terms)
    (v < kFirstOutput ? c.inputs : c.outputs).push_back({v < kFirstOutput ? v : v - kFirstOutput, q});
  c.bound = -a.left.constant;
  c.strict = a.strict;
  return c;
}

Property assemble(const Parser& parser, const VnnlibLimits& limits, PropertyBuilder builder, std::int64_t inputs) {
  Conjunct common;  // atoms outside of every "or": kept once, not per disjunct
  Expansion::gather(parser.asserted_, common);
  std::vector<Conjunct> all(1);
  Expansion(limits, parser.end_).multiply(parser.asserted_, all);
  Conjunct common_rest;
  OpenBox base(inputs);
  for (const std::uint32_t a : common) {
    if (parser.atoms_[a].is_side()) base.narrow(parser.atoms_[a]);
    else common_rest.push_back(a);
  }
  std::map<Conjunct, std::size_t> boxes;  // by the sides added to the common ones
  for (std::size_t d = 0; d < all.size(); ++d) {
    Conjunct sides, rest = common_rest;
    for (const std::uint32_t a : all[d]) (parser.atoms_[a].is_side() ? sides : rest).push_back(a);
    std::sort(sides.begin(), sides.end());
    std::sort(rest.begin(), rest.end());
    auto found = boxes.find(sides);
    if (found == boxes.end()) {
      OpenBox box = base;
      for (const std::uint32_t a : sides) box.narrow(parser.atoms_[a]);
      for (std::int64_t i = 0; i < inputs; ++i)
        if (!box.has_lower[i] || !box.has_upper[i])
          throw Trouble{parser.end_, "X_" + std::to_string(i) + " has no " + (box.has_lower[i] ? "upper" : "lower") +
                                         " bound in disjunct " + std::to_string(d) + "; bound every input on both sides"};
      if (static_cast<std::int64_t>(boxes.size() + 1) * inputs > limits.max_literals)
        throw Trouble{parser.end_, "the boxes of all disjuncts have more than " + std::to_string(limits.max_literals) + " sides (max_literals)", ErrorKind::unsupported};
      found = boxes.emplace(std::move(sides), builder.box(std::move(box.box))).first;
    }
    std::vector<LinearConstraint> constraints;
    for (const std::uint32_t a : rest) constraints.push_back(constraint_of(parser.atoms_[a]));
    builder.disjunct(found->second, std::move(constraints));
  }
  return std::move(builder).build();
}

}  // namespace

Result<Property> parse_vnnlib(std::string_view text, const std::string& source, const VnnlibLimits& limits) {
  if (text.size() > limits.max_bytes)
    return Error{ErrorKind::out_of_memory, source, "the text has more than " + std::to_string(limits.max_bytes) + " bytes (max_bytes)"};
  try {
    Parser parser(text, limits);
    parser.file();
    const std::int64_t inputs = parser.count(false), outputs = parser.count(true);
    if (parser.asserted_.empty()) throw Trouble{parser.end_, "nothing is asserted; assert what a violating input satisfies"};
    PropertyBuilder builder(inputs, outputs);
    builder.named(source, sha256_hex(text));
    return assemble(parser, limits, std::move(builder), inputs);
  } catch (const Trouble& t) {
    return Error{t.kind, source + ":" + std::to_string(t.where.line) + ":" + std::to_string(t.where.column), t.message};
  }
}

Result<Property> read_vnnlib(const std::filesystem::path& path, const VnnlibLimits& limits) {
  BL_TRY(text, read_file(path, limits.max_bytes));
  return parse_vnnlib(text, path.string(), limits);
}

}  // namespace boundlight
