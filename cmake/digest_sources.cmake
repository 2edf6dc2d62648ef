# SPDX-License-Identifier: Apache-2.0
# cmake -DFILES=a;b -DOUT=x.cpp -P digest_sources.cmake: defines warphive::codegen::sources_digest.
set(sums "")
foreach(file IN LISTS FILES)
  file(SHA256 ${file} sum)
  get_filename_component(name ${file} NAME)
  string(APPEND sums "${name} ${sum}\n")
endforeach()
string(SHA256 digest "${sums}")
file(WRITE ${OUT} "// Made by cmake/digest_sources.cmake.\n"
                  "namespace warphive::codegen {\n"
                  "extern const char* const sources_digest;\n"
                  "const char* const sources_digest = \"${digest}\";\n"
                  "}  // namespace warphive::codegen\n")
