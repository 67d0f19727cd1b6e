// What the readers share: bytes of structures, lists of words, sparse products, decimals.
#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

#include "boundlight/core/bytes.hpp"
#include "boundlight/core/lists.hpp"
#include "boundlight/core/rational.hpp"
#include "boundlight/core/sparse.hpp"

using namespace boundlight;

namespace sample {

enum class Colour : std::uint8_t { red = 0, blue = 1 };
struct Inner {
  double x = 0;
  float y = 0;
};
struct Outer {
  std::uint32_t count = 0;
  bool flag = false;
  Colour colour = Colour::red;
  std::string name;
  std::vector<Inner> inner;
  std::vector<std::uint32_t> rising;
  std::vector<std::uint16_t> packed;
};
template <class Io> void fields(Io& io, Inner& i) { io.all(i.x, i.y); }
template <class Io> void fields(Io& io, Outer& o) {
  io.all(o.count, o.flag, o.colour, o.name, o.inner);
  io.rising(o.rising);
  io.packed(o.packed, 2);
}

}  // namespace sample

TEST_CASE("structures come back from their bytes, and short or odd bytes are refused at their place") {
  sample::Outer o{300, true, sample::Colour::blue, "name", {{1.5, -2}, {1e300, 0.25F}}, {0, 7, 4'000'000'000}, {0, 65535}};
  ByteWriter writer;
  writer.all(o);
  sample::Outer back;
  ByteReader reader(writer.out);
  reader.all(back);
  reader.end();
  CHECK((back.count == 300 && back.flag && back.colour == sample::Colour::blue && back.name == "name" && back.rising == o.rising && back.packed == o.packed));
  REQUIRE(back.inner.size() == 2);
  CHECK((back.inner[1].x == 1e300 && back.inner[1].y == 0.25F));
  for (std::size_t n = 0; n < writer.out.size(); ++n) {
    sample::Outer part;
    ByteReader shorter(std::string_view(writer.out).substr(0, n));
    CHECK_THROWS_AS(shorter.all(part), BadBytes);
  }
  const auto refused = [](const std::string& bytes, const std::string& why) {
    sample::Outer part;
    ByteReader r(bytes);
    try {
      r.all(part);
      FAIL("was read: " << why);
    } catch (const BadBytes& b) {
      CHECK(std::string(b.why).find(why) != std::string::npos);
    }
  };
  refused(std::string("\xff\xff\xff\xff\x7f", 5), "too large");
  refused(std::string("\x01\x02", 2), "unknown kind");
  refused(std::string("\x01\x01\x02", 3), "unknown kind");
  refused(std::string("\x01\x01\x00\xff\x7f", 5), "longer than");
  refused(std::string(10, '\xff'), "nine bytes");
  refused(std::string("\x01\x01\x00\x00\x00\x02\x05\x00", 8), "do not rise");
}

TEST_CASE("lists of words keep their nesting and places") {
  const std::string text = "; comment (\n(a (b c) ) d\t(e;x\n)";
  WordLists lists(text, 10);
  const auto first = lists.next(), second = lists.next(), third = lists.next();
  REQUIRE((first && second && third));
  CHECK((first->is_list() && first->list.size() == 2 && first->list[0].word == "a" && first->list[1].list[1].word == "c"));
  CHECK((second->word == "d" && text[second->at] == 'd'));
  CHECK((third->list.size() == 1 && third->list[0].word == "e"));
  CHECK(!lists.next());
  for (const char* bad : {"(a", "a )", ")", "(((((a)))))"}) {
    const auto all = [&] {
      WordLists l(bad, 3);
      while (l.next()) {}
    };
    CHECK_THROWS_AS(all(), BadBytes);
  }
  WordLists nothing(" \n ; end", 3);
  CHECK(!nothing.next());
}

TEST_CASE("sparse products are the sums of their definition") {
  std::mt19937_64 random(5);
  for (int trial = 0; trial < 30; ++trial) {
    const std::size_t rows = 1 + random() % 20, columns = 1 + random() % 20;
    Sparse w;
    std::vector<double> dense(rows * columns, 0), a(rows * 8);
    for (std::size_t o = 0; o < rows; ++o, w.end_row())
      for (std::size_t j = 0; j < columns; ++j)
        if (random() % 3 == 0) w.add(static_cast<std::int64_t>(j), dense[o * columns + j] = static_cast<double>(random() % 19) - 9);
    for (double& x : a) x = static_cast<double>(random() % 19) - 9;  // integers: every order of summation is exact
    std::vector<std::uint32_t> listed;
    for (std::uint32_t o = 0; o < rows; ++o)
      if (random() % 2) listed.push_back(o);
    const Sparse t = transposed(w, columns);
    REQUIRE(t.start.size() == columns + 1);
    std::vector<double> all(columns * 8), some(columns * 8, 0);
    gather_eight(t, a.data(), all.data());
    scatter_eight(w, listed, a.data(), some.data());
    for (std::size_t j = 0; j < columns; ++j)
      for (std::size_t lane = 0; lane < 8; ++lane) {
        double sum = 0, part = 0;
        for (std::uint32_t o = 0; o < rows; ++o) {
          sum += dense[o * columns + j] * a[o * 8 + lane];
          if (std::find(listed.begin(), listed.end(), o) != listed.end()) part += dense[o * columns + j] * a[o * 8 + lane];
        }
        CHECK(all[j * 8 + lane] == sum);
        CHECK(some[j * 8 + lane] == part);
      }
  }
}

TEST_CASE("decimals are read exactly, and what is none is refused") {
  CHECK(parse_decimal("-1.25e-3") == Rational(-1, 800));
  CHECK(parse_decimal("007") == Rational(7));
  CHECK(parse_decimal("+.5E1") == Rational(5));
  CHECK(parse_decimal("3.") == Rational(3));
  CHECK(parse_decimal("0.1") == Rational(1, 10));
  for (const char* bad : {"", ".", "-", "1e", "1e+", "1.2.3", "0x1", "nan", "1e1000000000", "1e3000"}) CHECK(!parse_decimal(bad));
  CHECK(!parse_decimal(std::string(30, '1'), 20));
}
