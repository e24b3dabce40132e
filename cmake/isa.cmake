# The compile flags of each ISA level, keyed by the token that a kernel's file name carries:
# kernels/<family>/x86_<isa>[_<what>].cc. The names are those of src/base/isa.inc. Everything else is x86-64-v2.
set(INTAGLIO_ISA_FLAGS_sse42 -march=x86-64-v2)
# No contraction by the compiler: a fused multiply-add is written where it is meant, so that mul and add round as the
# framework's separate operations do, on every level.
set(INTAGLIO_ISA_FLAGS_avx2 -march=x86-64-v2 -ffp-contract=off -mavx2 -mfma -mf16c -mbmi -mbmi2)
set(INTAGLIO_ISA_FLAGS_avx_vnni ${INTAGLIO_ISA_FLAGS_avx2} -mavxvnni)
# GCC 12's own AVX-512 headers set off -Wmaybe-uninitialized: https://gcc.gnu.org/bugzilla/show_bug.cgi?id=105593
set(INTAGLIO_ISA_FLAGS_avx512 ${INTAGLIO_ISA_FLAGS_avx2} -Wno-maybe-uninitialized -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512cd -mprefer-vector-width=512)
set(INTAGLIO_ISA_FLAGS_avx512_vnni ${INTAGLIO_ISA_FLAGS_avx512} -mavx512vnni -mavx512vbmi)
set(INTAGLIO_ISA_FLAGS_avx512_bf16 ${INTAGLIO_ISA_FLAGS_avx512} -mavx512bf16)
set(INTAGLIO_ISA_FLAGS_avx512_fp16 ${INTAGLIO_ISA_FLAGS_avx512} -mavx512fp16)
set(INTAGLIO_ISA_FLAGS_amx ${INTAGLIO_ISA_FLAGS_avx512_vnni} -mavx512bf16 -mamx-tile -mamx-int8 -mamx-bf16)
# Longest tokens first, so that x86_avx512_vnni_gemm.cc is not taken for avx512.
set(INTAGLIO_ISA_TOKENS avx512_vnni avx512_bf16 avx512_fp16 avx_vnni avx512 avx2 sse42 amx)

function(intaglio_isa_flags source)
  get_filename_component(name ${source} NAME)
  if(NOT source MATCHES "/src/kernels/" OR NOT name MATCHES "^x86_")
    return()
  endif()
  foreach(token ${INTAGLIO_ISA_TOKENS})
    if(name MATCHES "^x86_${token}(_|\\.)")
      set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "${INTAGLIO_ISA_FLAGS_${token}}")
      return()
    endif()
  endforeach()
  message(FATAL_ERROR "${source}: the file name carries no ISA token known to cmake/isa.cmake")
endfunction()
