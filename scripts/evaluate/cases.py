"""What is to be shown: every row with the best numbers known before, and what must not be missed.

`recipe` is what our prototype in Python measured with one seed; a floor is .01 AUROC, .05 TPR at
1 % and .01 accuracy below it.
"""

from dataclasses import dataclass

AUROC_SLACK, TPR_SLACK, ACCURACY_SLACK = 0.01, 0.05, 0.01


@dataclass(frozen=True)
class Case:
    """Rows that one guard is measured on, and the least that counts."""

    name: str
    title: str
    guards: str = ""
    rows: str = ""
    auroc: float | None = None
    tpr: float | None = None
    corrected: float | None = None
    # Of rows that are not attacked: the largest share that should be flagged.
    flagged_max: float | None = None
    floor_auroc: float | None = None

    def floors(self):
        """Least AUROC, TPR at 1 % and accuracy if all were corrected."""
        auroc = self.floor_auroc or (self.auroc and self.auroc - AUROC_SLACK)
        tpr, corrected = self.tpr and self.tpr - TPR_SLACK, self.corrected and self.corrected - ACCURACY_SLACK
        return auroc, tpr, corrected


CLASSIFIER, BADNETS, BLENDED = "classifier", "backdoor-badnets", "backdoor-blended"

FASHION = [
    Case("pgd-0.05-on-support", "PGD .05, on the object only", CLASSIFIER, "pgd-0.05-on-support.npz#success", 0.964, 0.38, 0.76),
    Case("pgd-0.10-on-support", "PGD .10, on the object only", CLASSIFIER, "pgd-0.10-on-support.npz#success", 0.986, 0.69, 0.75),
    Case("pgd-0.20-on-support", "PGD .20, on the object only", CLASSIFIER, "pgd-0.20-on-support.npz#success", 0.979, 0.66, 0.61),
    Case("fgsm-0.10", "FGSM .10", CLASSIFIER, "fgsm-0.10.npz#success", 0.9999, 0.999, 0.95),
    Case("pgd-0.05", "PGD .05", CLASSIFIER, "pgd-0.05.npz#success", 0.9997, 0.995, 0.95),
    Case("pgd-0.10", "PGD .10", CLASSIFIER, "pgd-0.10.npz#success", 0.9999, 0.999, 0.95),
    Case("cw-l2", "CW-L2", CLASSIFIER, "cw-l2.npz#success", 0.986, 0.835, 0.95),
    Case("badnets", "BadNets hits", BADNETS, "backdoor-badnets.npz#hit", 1.0, 1.0, 0.86),
    Case("demo-pgd-badnets", "PGD .10 on the BadNets model", BADNETS, "demo-pgd-badnets.npz#success", 0.9994, 0.991, 0.885),
    Case("blended", "blended hits", BLENDED, "backdoor-blended.npz#hit", 1.0, 1.0, 0.86),
    Case("harmless-noise-0.01", "noise, σ .01", CLASSIFIER, "harmless-noise-0.01.npz", flagged_max=0.20),
    Case("harmless-noise-0.03", "noise, σ .03", CLASSIFIER, "harmless-noise-0.03.npz", flagged_max=0.50),
    Case("harmless-shift-1px", "shift by one pixel", CLASSIFIER, "harmless-shift-1px.npz", flagged_max=0.05),
    Case("harmless-brightness-0.9", "brightness × .9", CLASSIFIER, "harmless-brightness-0.9.npz", flagged_max=0.02),
]
ON_SUPPORT = [case for case in FASHION if case.name.endswith("-on-support")]
# What a corrected clean row may lose of the protected model's accuracy, and a delivered one.
CLEAN_LOSS_FLOOR, CLEAN_LOSS_GOAL, DELIVERED_LOSS_GOAL, HARMLESS_LOSS_GOAL = 0.031, 0.015, 0.004, 0.02

ADBENCH = [
    Case("clean", "12 sets, trained on normal rows", auroc=0.924, tpr=0.48),
    Case("contaminated", "12 sets, anomalies left in the training rows", auroc=0.825, tpr=0.29, floor_auroc=0.803),
]

# Names as we show them, and as their files are called.
SETS = {
    "annthyroid": "2_annthyroid",
    "cardio": "6_cardio",
    "fault": "12_fault",
    "http": "16_http",
    "magic.gamma": "22_magic.gamma",
    "mammography": "23_mammography",
    "optdigits": "26_optdigits",
    "pendigits": "28_pendigits",
    "satellite": "30_satellite",
    "shuttle": "32_shuttle",
    "SpamBase": "35_SpamBase",
    "vowels": "40_vowels",
}
