(module
  (memory (export "memory") 1)

  ;; Add up, for blocks of 16 codes, what the halves of their bytes add to a sum.
  ;;   codes   `width` vectors for each block; vector i holds byte i of its 16 codes
  ;;   tables  for each byte 16 entries of its low half, then 16 of its high half, at most 127 each
  ;;   sums    written: 16 whole numbers of 16 bits for each block
  (func (export "addUp")
    (param $codes i32) (param $blocks i32) (param $width i32) (param $tables i32) (param $sums i32)
    (local $table i32) (local $i i32)
    (local $v v128) (local $r v128) (local $low v128) (local $high v128)
    (block $done
      (br_if $done (i32.eqz (local.get $blocks)))
      (loop $block
        (local.set $low (v128.const i64x2 0 0))
        (local.set $high (v128.const i64x2 0 0))
        (local.set $table (local.get $tables))
        (local.set $i (local.get $width))
        (loop $byte
          (local.set $v (v128.load (local.get $codes)))
          (local.set $r
            (i8x16.add
              (i8x16.swizzle (v128.load (local.get $table))
                (v128.and (local.get $v) (v128.const i8x16 15 15 15 15 15 15 15 15 15 15 15 15 15 15 15 15)))
              (i8x16.swizzle (v128.load offset=16 (local.get $table))
                (i8x16.shr_u (local.get $v) (i32.const 4)))))
          (local.set $low (i16x8.add (local.get $low) (i16x8.extend_low_i8x16_u (local.get $r))))
          (local.set $high (i16x8.add (local.get $high) (i16x8.extend_high_i8x16_u (local.get $r))))
          (local.set $codes (i32.add (local.get $codes) (i32.const 16)))
          (local.set $table (i32.add (local.get $table) (i32.const 32)))
          (br_if $byte (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
        (v128.store (local.get $sums) (local.get $low))
        (v128.store offset=16 (local.get $sums) (local.get $high))
        (local.set $sums (i32.add (local.get $sums) (i32.const 32)))
        (br_if $block (local.tee $blocks (i32.sub (local.get $blocks) (i32.const 1)))))))
)
