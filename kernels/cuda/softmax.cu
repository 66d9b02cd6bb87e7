// Softmax and its logarithm over rows, and the cross-entropies of logits and of probabilities. Built with -DT=<type of
// the elements> and with -DROW_THREADS; the kernels of classes also with -DCLASS=<type of an integer target>.
//
// A row is swept several times: for its maximum, for its sum, and to write. Only the first sweep comes from memory; the
// others find the row in a cache. That is simpler than a maximum and a sum in one sweep, and takes infinities as they
// are.
#include "row.cuh"

using Wide = dc::accumulator<T>;

#ifndef CLASS
#define CLASS int
#endif

__device__ __forceinline__ Wide row_max(const T* x, int64_t columns) {
    Wide largest = Wide(x[0]);
    for (int64_t i = dc::RowGroup::lane(); i < columns; i += dc::RowGroup::threads)
        largest = dc::Max()(largest, Wide(x[i]));
    return dc::RowGroup::max(largest);
}

__device__ __forceinline__ Wide row_sum_exp(const T* x, int64_t columns, Wide shift) {
    Wide total = Wide(0);
    // Unrolled further, the exponentials of doubles would spill registers.
#pragma unroll 2
    for (int64_t i = dc::RowGroup::lane(); i < columns; i += dc::RowGroup::threads) total += exp(Wide(x[i]) - shift);
    return dc::RowGroup::sum(total);
}

// y = exp(x - max) / sum(exp(x - max)); x, y [rows, columns].
// registers: 40
extern "C" __global__ void __launch_bounds__(256)
    softmax_fprop(const T* __restrict__ x, T* __restrict__ y, long long rows, long long columns) {
    dc::for_each_row(rows, columns, [&](int64_t row, int64_t count) {
        const T* logits = x + row * columns;
        const Wide shift = row_max(logits, count), total = row_sum_exp(logits, count, shift);
        for (int64_t i = dc::RowGroup::lane(); i < count; i += dc::RowGroup::threads)
            y[row * columns + i] = T(exp(Wide(logits[i]) - shift) / total);
    });
}

// y = x - max - log(sum(exp(x - max))).
// registers: 40
extern "C" __global__ void __launch_bounds__(256)
    log_softmax_fprop(const T* __restrict__ x, T* __restrict__ y, long long rows, long long columns) {
    dc::for_each_row(rows, columns, [&](int64_t row, int64_t count) {
        const T* logits = x + row * columns;
        const Wide shift = row_max(logits, count), total = log(row_sum_exp(logits, count, shift));
        for (int64_t i = dc::RowGroup::lane(); i < count; i += dc::RowGroup::threads)
            y[row * columns + i] = T(Wide(logits[i]) - shift - total);
    });
}

// dx = y * (dy - sum(dy * y)).
// registers: 40
extern "C" __global__ void __launch_bounds__(256) softmax_dgrad(const T* __restrict__ dy, const T* __restrict__ y,
                                                                T* __restrict__ dx, long long rows, long long columns) {
    dc::for_each_row(rows, columns, [&](int64_t row, int64_t count) {
        const int64_t first = row * columns;
        Wide total = Wide(0);
        for (int64_t i = dc::RowGroup::lane(); i < count; i += dc::RowGroup::threads)
            total += Wide(dy[first + i]) * Wide(y[first + i]);
        total = dc::RowGroup::sum(total);
        for (int64_t i = dc::RowGroup::lane(); i < count; i += dc::RowGroup::threads)
            dx[first + i] = T(Wide(y[first + i]) * (Wide(dy[first + i]) - total));
    });
}

// dx = dy - exp(y) * sum(dy).
// registers: 40
extern "C" __global__ void __launch_bounds__(256)
    log_softmax_dgrad(const T* __restrict__ dy, const T* __restrict__ y, T* __restrict__ dx, long long rows,
                      long long columns) {
    dc::for_each_row(rows, columns, [&](int64_t row, int64_t count) {
        const int64_t first = row * columns;
        Wide total = Wide(0);
        for (int64_t i = dc::RowGroup::lane(); i < count; i += dc::RowGroup::threads) total += Wide(dy[first + i]);
        total = dc::RowGroup::sum(total);
        for (int64_t i = dc::RowGroup::lane(); i < count; i += dc::RowGroup::threads)
            dx[first + i] = T(Wide(dy[first + i]) - exp(Wide(y[first + i])) * total);
    });
}

// Neither an error nor a wait for the device can come out of a kernel, so that a class which does not exist makes its
// row NaN.
__device__ __forceinline__ bool exists(CLASS target, int64_t columns) {
    return int64_t(target) >= 0 && int64_t(target) < columns;
}

__device__ __forceinline__ Wide not_a_number() { return Wide(0) / Wide(0); }

// loss = log(sum(exp(x - max))) - (x[target] - max), probabilities = softmax(x); x, probabilities [rows, columns],
// targets, loss [rows].
// registers: 40
extern "C" __global__ void __launch_bounds__(256)
    cross_entropy_of_classes_fprop(const T* __restrict__ x, const CLASS* __restrict__ targets, Wide* __restrict__ loss,
                                   T* __restrict__ probabilities, long long rows, long long columns) {
    dc::for_each_row(rows, columns, [&](int64_t row, int64_t count) {
        const T* logits = x + row * columns;
        const Wide shift = row_max(logits, count), total = row_sum_exp(logits, count, shift);
        const CLASS target = targets[row];
        const bool valid = exists(target, columns);
        for (int64_t i = dc::RowGroup::lane(); i < count; i += dc::RowGroup::threads)
            probabilities[row * columns + i] = T(exp(Wide(logits[i]) - shift) / total);
        if (count && dc::RowGroup::lane() == 0)
            loss[row] = valid ? log(total) - (Wide(logits[target]) - shift) : not_a_number();
    });
}

// The same for weights of the classes: loss = sum(weights * (log(sum(exp(x - max))) - (x - max))).
// registers: 48
extern "C" __global__ void __launch_bounds__(256)
    cross_entropy_of_weights_fprop(const T* __restrict__ x, const T* __restrict__ weights, Wide* __restrict__ loss,
                                   T* __restrict__ probabilities, long long rows, long long columns) {
    dc::for_each_row(rows, columns, [&](int64_t row, int64_t count) {
        const T* logits = x + row * columns;
        const Wide shift = row_max(logits, count), total = row_sum_exp(logits, count, shift), log_total = log(total);
        Wide weighted = Wide(0);
        for (int64_t i = dc::RowGroup::lane(); i < count; i += dc::RowGroup::threads) {
            const Wide shifted = Wide(logits[i]) - shift;
            probabilities[row * columns + i] = T(exp(shifted) / total);
            weighted += Wide(weights[row * columns + i]) * (log_total - shifted);
        }
        weighted = dc::RowGroup::sum(weighted);
        if (count && dc::RowGroup::lane() == 0) loss[row] = weighted;
    });
}

// dlogits = dloss * (probabilities - one_hot(target)).
// registers: 32
extern "C" __global__ void __launch_bounds__(256)
    cross_entropy_of_classes_dgrad(const Wide* __restrict__ dloss, const T* __restrict__ probabilities,
                                   const CLASS* __restrict__ targets, T* __restrict__ dlogits, long long rows,
                                   long long columns) {
    dc::for_each_row(rows, columns, [&](int64_t row, int64_t count) {
        const CLASS target = targets[row];
        const Wide factor = exists(target, columns) ? dloss[row] : not_a_number();
        for (int64_t i = dc::RowGroup::lane(); i < count; i += dc::RowGroup::threads)
            dlogits[row * columns + i] =
                T(factor * (Wide(probabilities[row * columns + i]) - (i == int64_t(target) ? Wide(1) : Wide(0))));
    });
}

// dlogits = dloss * (probabilities * sum(weights) - weights).
// registers: 32
extern "C" __global__ void __launch_bounds__(256)
    cross_entropy_of_weights_dgrad(const Wide* __restrict__ dloss, const T* __restrict__ probabilities,
                                   const T* __restrict__ weights, T* __restrict__ dlogits, long long rows,
                                   long long columns) {
    dc::for_each_row(rows, columns, [&](int64_t row, int64_t count) {
        const int64_t first = row * columns;
        Wide total = Wide(0);
        for (int64_t i = dc::RowGroup::lane(); i < count; i += dc::RowGroup::threads) total += Wide(weights[first + i]);
        total = dc::RowGroup::sum(total);
        for (int64_t i = dc::RowGroup::lane(); i < count; i += dc::RowGroup::threads)
            dlogits[first + i] = T(dloss[row] * (Wide(probabilities[first + i]) * total - Wide(weights[first + i])));
    });
}

// Cross-entropies of probabilities divide a row by its sum, and hold the shares between these limits.
__device__ __forceinline__ bool is_below(Wide share) { return share < Wide(1e-7); }
__device__ __forceinline__ bool is_above(Wide share) { return share > Wide(1 - 1e-7); }

// True of NaN, which so flows on.
__device__ __forceinline__ bool is_within(Wide share) { return !is_below(share) && !is_above(share); }

__device__ __forceinline__ Wide log_share(Wide share) {
    return log(is_below(share) ? Wide(1e-7) : is_above(share) ? Wide(1 - 1e-7) : share);
}

__device__ __forceinline__ Wide row_sum(const T* x, int64_t columns) {
    Wide total = Wide(0);
    for (int64_t i = dc::RowGroup::lane(); i < columns; i += dc::RowGroup::threads) total += Wide(x[i]);
    return dc::RowGroup::sum(total);
}

// loss = -log(p[target] / sum(p)); p [rows, columns], targets, loss [rows].
// registers: 32
extern "C" __global__ void __launch_bounds__(256)
    probability_loss_of_classes_fprop(const T* __restrict__ p, const CLASS* __restrict__ targets,
                                      Wide* __restrict__ loss, long long rows, long long columns) {
    dc::for_each_row(rows, columns, [&](int64_t row, int64_t count) {
        const Wide total = row_sum(p + row * columns, count);
        const CLASS target = targets[row];
        if (count && dc::RowGroup::lane() == 0)
            loss[row] = exists(target, columns) ? -log_share(Wide(p[row * columns + target]) / total) : not_a_number();
    });
}

// The same for weights of the classes: loss = -sum(weights * log(p / sum(p))).
// registers: 40
extern "C" __global__ void __launch_bounds__(256)
    probability_loss_of_weights_fprop(const T* __restrict__ p, const T* __restrict__ weights, Wide* __restrict__ loss,
                                      long long rows, long long columns) {
    dc::for_each_row(rows, columns, [&](int64_t row, int64_t count) {
        const int64_t first = row * columns;
        const Wide total = row_sum(p + first, count);
        Wide weighted = Wide(0);
        // Unrolled further, divisions would spill registers; below, too.
#pragma unroll 2
        for (int64_t i = dc::RowGroup::lane(); i < count; i += dc::RowGroup::threads)
            weighted -= Wide(weights[first + i]) * log_share(Wide(p[first + i]) / total);
        weighted = dc::RowGroup::sum(weighted);
        if (count && dc::RowGroup::lane() == 0) loss[row] = weighted;
    });
}

// dp = dloss * (1 / sum(p) - one_hot(target) / p), zero where the target's share is held at a limit.
// registers: 32
extern "C" __global__ void __launch_bounds__(256)
    probability_loss_of_classes_dgrad(const Wide* __restrict__ dloss, const T* __restrict__ p,
                                      const CLASS* __restrict__ targets, T* __restrict__ dp, long long rows,
                                      long long columns) {
    dc::for_each_row(rows, columns, [&](int64_t row, int64_t count) {
        const int64_t first = row * columns;
        const Wide total = row_sum(p + first, count);
        const CLASS target = targets[row];
        const bool valid = exists(target, columns);
        const Wide hit = valid ? Wide(p[first + target]) : not_a_number();
        const bool within = is_within(hit / total);
        const Wide slope = within ? dloss[row] / total : Wide(0), at_target = within ? dloss[row] / hit : Wide(0);
        for (int64_t i = dc::RowGroup::lane(); i < count; i += dc::RowGroup::threads)
            dp[first + i] = T(valid ? slope - (i == int64_t(target) ? at_target : Wide(0)) : not_a_number());
    });
}

// dp = dloss * (sum(weights) / sum(p) - weights / p), with weights of zero where a share is held at a limit.
// registers: 40
extern "C" __global__ void __launch_bounds__(256)
    probability_loss_of_weights_dgrad(const Wide* __restrict__ dloss, const T* __restrict__ p,
                                      const T* __restrict__ weights, T* __restrict__ dp, long long rows,
                                      long long columns) {
    dc::for_each_row(rows, columns, [&](int64_t row, int64_t count) {
        const int64_t first = row * columns;
        const Wide total = row_sum(p + first, count);
        Wide weight = Wide(0);
        // Weights are loaded whether they count or not: a part of a warp would fetch the same sectors by more requests.
#pragma unroll 2
        for (int64_t i = dc::RowGroup::lane(); i < count; i += dc::RowGroup::threads)
            weight += Wide(weights[first + i]) * Wide(is_within(Wide(p[first + i]) / total));
        weight = dc::RowGroup::sum(weight);
#pragma unroll 2
        for (int64_t i = dc::RowGroup::lane(); i < count; i += dc::RowGroup::threads) {
            const Wide each = Wide(p[first + i]), of_class = Wide(weights[first + i]);
            const Wide slope = is_within(each / total) ? of_class / each : Wide(0);
            dp[first + i] = T(dloss[row] * (weight / total - slope));
        }
    });
}
