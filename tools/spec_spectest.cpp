// SPDX-License-Identifier: Apache-2.0
#include "tools/spec_spectest.hpp"

#include <charconv>
#include <string_view>

namespace warphive::tools::spec {
namespace {

// The bytes are what wat2wasm makes of this text; a test (tests/spec/check_spectest.py) compares.
/* wat
(module
  (func (export "print"))
  (func (export "print_i32") (param i32))
  (func (export "print_i64") (param i64))
  (func (export "print_f32") (param f32))
  (func (export "print_f64") (param f64))
  (func (export "print_i32_f32") (param i32 f32))
  (func (export "print_f64_f64") (param f64 f64))
  (global (export "global_i32") i32 (i32.const 666))
  (global (export "global_i64") i64 (i64.const 666))
  (global (export "global_f32") f32 (f32.const 666.6))
  (global (export "global_f64") f64 (f64.const 666.6))
  (table (export "table") 10 20 funcref)
  (memory (export "memory") 1 2))
*/
constexpr std::string_view hex =
    "0061736d01000000011e0760000060017f0060017e0060017d0060017c0060027f7d0060027c7c0003080700"
    "01020304050604050170010a140504010101020621047f00419a050b7e00429a050b7d004366a626440b7c00"
    "44cdccccccccd484400b079e010d057072696e740000097072696e745f6933320001097072696e745f693634"
    "0002097072696e745f6633320003097072696e745f66363400040d7072696e745f6933325f66333200050d70"
    "72696e745f6636345f66363400060a676c6f62616c5f69333203000a676c6f62616c5f69363403010a676c6f"
    "62616c5f66333203020a676c6f62616c5f6636340303057461626c650100066d656d6f727902000a16070200"
    "0b02000b02000b02000b02000b02000b02000b";

}  // namespace

std::vector<std::byte> spectest_bytes() {
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    unsigned byte = 0;
    std::from_chars(hex.data() + i, hex.data() + i + 2, byte, 16);
    bytes.push_back(static_cast<std::byte>(byte));
  }
  return bytes;
}

}  // namespace warphive::tools::spec
